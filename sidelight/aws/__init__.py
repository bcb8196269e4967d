"""AWS access: the only package that imports boto3 (EC2, EBS direct, STS and others)."""
