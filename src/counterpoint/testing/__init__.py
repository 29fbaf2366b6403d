"""What users need to test their processes and adapters: shipped, and tested like the rest."""
