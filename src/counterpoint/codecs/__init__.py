"""Codecs of stored bodies: adapters of `ports.codec`."""
