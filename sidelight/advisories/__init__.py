"""Advisory feeds and the database made of them."""
