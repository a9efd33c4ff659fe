"""The services beside Bedrock and S3 with which people's scripts begin: STS says who is calling; IAM's roles and
OpenSearch Serverless's collections are kept, and nothing runs behind them."""
