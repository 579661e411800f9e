"""What drawing is asked for, checked before any work: conditions, guidance and seeds; images to start from."""
