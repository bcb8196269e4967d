"""The tables by what they hold; `sidelight.store.base.schema` has them all."""
