"""The whole suite for stores but the model, which is `store_model.StoreModel`."""

from counterpoint.testing.conformance.store_attributes import StoreAttributes
from counterpoint.testing.conformance.store_commits import StoreCommits
from counterpoint.testing.conformance.store_examination import StoreExamination
from counterpoint.testing.conformance.store_locks import StoreLocks
from counterpoint.testing.conformance.store_mail import StoreMail
from counterpoint.testing.conformance.store_messages_inbox import StoreMessagesInbox
from counterpoint.testing.conformance.store_messages_log import StoreMessagesLog
from counterpoint.testing.conformance.store_reads import StoreReads


class StoreConformance(
    StoreCommits,
    StoreReads,
    StoreAttributes,
    StoreMail,
    StoreLocks,
    StoreMessagesLog,
    StoreMessagesInbox,
    StoreExamination,
):
    """Subclass, say what the store's features are and how to make one, run."""
