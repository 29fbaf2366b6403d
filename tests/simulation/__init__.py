"""Random sagas in the harness: the services keep all or nothing, or an incident says what."""
