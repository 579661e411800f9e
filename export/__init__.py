"""Generator -> SavedModel: signatures, numbered versions, warm-up records, a manifest, verification.

In a clone this package is `export`, installed it is `keras_ddpm.export`: so its modules import each other relatively.
"""
