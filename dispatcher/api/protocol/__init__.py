"""AWS's rest-json protocol, by the `inspector2` service model of the installed botocore."""
