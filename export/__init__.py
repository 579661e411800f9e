"""Generator -> SavedModel: signatures, numbered versions, warm-up records, verification."""
