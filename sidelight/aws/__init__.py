"""The only boto3: EC2, EBS direct, STS."""
