"""Questions to your own documents, with unmodified boto3: `craton exec -- python examples/knowledge_base.py`."""

import time

import boto3

BUCKET, DOCUMENT = "handbook", "keys.md"
TEXT = """# Keys

Every program gets a key of its own. A key can be rotated at any time: make a new one, give it to the program, and
revoke the old one. Keys expire after ninety days unless they are made with a longer life.

# Backups

The database is backed up every night at two. Backups are kept for thirty days.
"""

s3 = boto3.client("s3")
agent = boto3.client("bedrock-agent")
runtime = boto3.client("bedrock-agent-runtime")

# 1. Documents lie in a bucket.
s3.create_bucket(Bucket=BUCKET)
s3.put_object(Bucket=BUCKET, Key=DOCUMENT, Body=TEXT.encode(), ContentType="text/markdown")

# 2. A knowledge base reads them.
base = agent.create_knowledge_base(
    name="handbook",
    roleArn="arn:aws:iam::123456789012:role/anything",
    knowledgeBaseConfiguration={
        "type": "VECTOR",
        "vectorKnowledgeBaseConfiguration": {
            "embeddingModelArn": "arn:aws:bedrock:us-east-1::foundation-model/all-minilm-l6-v2"
        },
    },
)["knowledgeBase"]
source = agent.create_data_source(
    knowledgeBaseId=base["knowledgeBaseId"],
    name="files",
    dataSourceConfiguration={"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{BUCKET}"}},
)["dataSource"]
ids = {"knowledgeBaseId": base["knowledgeBaseId"], "dataSourceId": source["dataSourceId"]}
job = agent.start_ingestion_job(**ids)["ingestionJob"]
while job["status"] in {"STARTING", "IN_PROGRESS"}:
    time.sleep(0.3)
    job = agent.get_ingestion_job(**ids, ingestionJobId=job["ingestionJobId"])["ingestionJob"]
print(job["status"], job["statistics"]["numberOfNewDocumentsIndexed"], "document")

# 3. Passages that fit a question, without any model writing.
found = runtime.retrieve(knowledgeBaseId=base["knowledgeBaseId"], retrievalQuery={"text": "How long are backups kept?"})
print(found["retrievalResults"][0]["score"], found["retrievalResults"][0]["location"]["s3Location"]["uri"])

# 4. An answer, and where it stands.
answer = runtime.retrieve_and_generate(
    input={"text": "How do I rotate a key?"},
    retrieveAndGenerateConfiguration={
        "type": "KNOWLEDGE_BASE",
        "knowledgeBaseConfiguration": {
            "knowledgeBaseId": base["knowledgeBaseId"],
            "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/smollm2-135m-instruct",
        },
    },
)
print(answer["output"]["text"])
for citation in answer["citations"]:
    for reference in citation["retrievedReferences"]:
        print("  from", reference["location"]["s3Location"]["uri"])

agent.delete_knowledge_base(knowledgeBaseId=base["knowledgeBaseId"])
