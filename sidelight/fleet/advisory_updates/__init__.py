"""Keep the advisory database up to date: from publishers' feeds, or from a signed bundle.

updater          feeds downloaded and built, atomically; a lost feed keeps its last good state
bundle_updates   a bundle that another machine built and signed, put in place
update_state     when which feed was last confirmed, beside the database
"""
