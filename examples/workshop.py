"""The first hour of Amazon's knowledge-base tutorials, in one script: `craton exec -- python examples/workshop.py`.

Such scripts name Amazon's models. The operator says once what they mean here, in `config.toml` of CRATON_HOME:

    [aliases]
    "amazon.titan-embed-text-v2:0" = "all-minilm-l6-v2"
    "anthropic.claude-3-sonnet-20240229-v1:0" = "smollm2-135m-instruct"

Roles, policies and the OpenSearch collection are kept, and nothing runs behind them: the vectors lie in Craton's own
index. One step of the tutorials is left out: making a vector index in the collection with opensearch-py. It is not
needed here, and a client that asks for it is refused and told so.
"""

import json
import tempfile
import time
import uuid
from pathlib import Path

import boto3

EMBEDDER, WRITER = "amazon.titan-embed-text-v2:0", "anthropic.claude-3-sonnet-20240229-v1:0"
DOCUMENTS = {
    "leave.md": (
        "# Leave\n\nEverybody has thirty days of leave a year. Up to five days can be carried over into March.\n",
        {"department": "people", "year": 2026},
    ),
    "travel.md": (
        "# Travel\n\nTrips by train need no approval. A flight must be approved two weeks before it.\n",
        {"department": "finance", "year": 2026},
    ),
    "old-travel.md": (
        "# Travel\n\nA flight must be approved four weeks before it.\n",
        {"department": "finance", "year": 2019},
    ),
}
CHUNKINGS = {
    "fixed": {
        "chunkingStrategy": "FIXED_SIZE",
        "fixedSizeChunkingConfiguration": {"maxTokens": 200, "overlapPercentage": 20},
    },
    "hierarchical": {
        "chunkingStrategy": "HIERARCHICAL",
        "hierarchicalChunkingConfiguration": {
            "levelConfigurations": [{"maxTokens": 600}, {"maxTokens": 100}],
            "overlapTokens": 20,
        },
    },
    "semantic": {
        "chunkingStrategy": "SEMANTIC",
        "semanticChunkingConfiguration": {"maxTokens": 200, "bufferSize": 1, "breakpointPercentileThreshold": 95},
    },
}
PROMPT = """Answer the question from the search results alone.

$search_results$

Question: $query$
$output_format_instructions$"""

session = boto3.Session()
region = session.region_name
account = session.client("sts").get_caller_identity()["Account"]
iam, collections, s3 = (session.client(name) for name in ("iam", "opensearchserverless", "s3"))
agent, runtime = session.client("bedrock-agent"), session.client("bedrock-agent-runtime")
name = f"workshop-{uuid.uuid4().hex[:8]}"


def arn_of(model: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


# --- a bucket with documents, and what is said of each beside it ------------------------------------------------------
s3.create_bucket(Bucket=name)
with tempfile.TemporaryDirectory() as folder:
    for key, (text, attributes) in DOCUMENTS.items():
        beside = json.dumps({"metadataAttributes": attributes})
        for file, content in ((key, text), (f"{key}.metadata.json", beside)):
            path = Path(folder) / file
            path.write_text(content)
            s3.upload_file(str(path), name, f"handbook/{file}")

# --- a role that may read it, and a collection for the vectors --------------------------------------------------------
trust = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
allowed = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [f"arn:aws:s3:::{name}*"]},
        {"Effect": "Allow", "Action": ["bedrock:InvokeModel"], "Resource": [arn_of(EMBEDDER)]},
    ],
}
role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=3600)["Role"]
policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(allowed))["Policy"]
iam.attach_role_policy(RoleName=name, PolicyArn=policy["Arn"])

resources = [{"Resource": [f"collection/{name}"], "ResourceType": "collection"}]
encryption = {"Rules": resources, "AWSOwnedKey": True}
collections.create_security_policy(name=name, type="encryption", policy=json.dumps(encryption))
network = [{"Rules": resources, "AllowFromPublic": True}]
collections.create_security_policy(name=name, type="network", policy=json.dumps(network))
access = [
    {
        "Rules": [{**resources[0], "Permission": ["aoss:DescribeCollectionItems"]}],
        "Principal": [role["Arn"], f"arn:aws:iam::{account}:root"],
    }
]
collections.create_access_policy(name=name, type="data", policy=json.dumps(access))
collection = collections.create_collection(name=name, type="VECTORSEARCH")["createCollectionDetail"]
while collections.batch_get_collection(names=[name])["collectionDetails"][0]["status"] == "CREATING":
    time.sleep(1)

# --- a knowledge base that reads them three times: each data source cuts them in its own way --------------------------
base = agent.create_knowledge_base(
    name=name,
    description="The handbook.",
    roleArn=role["Arn"],
    knowledgeBaseConfiguration={
        "type": "VECTOR",
        "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": arn_of(EMBEDDER)},
    },
    storageConfiguration={
        "type": "OPENSEARCH_SERVERLESS",
        "opensearchServerlessConfiguration": {
            "collectionArn": collection["arn"],
            "vectorIndexName": name,
            "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"},
        },
    },
)["knowledgeBase"]["knowledgeBaseId"]
while agent.get_knowledge_base(knowledgeBaseId=base)["knowledgeBase"]["status"] == "CREATING":
    time.sleep(1)

bucket = {"bucketArn": f"arn:aws:s3:::{name}", "inclusionPrefixes": ["handbook/"]}
sources = []
for chunking, options in CHUNKINGS.items():
    source = agent.create_data_source(
        knowledgeBaseId=base,
        name=chunking,
        dataDeletionPolicy="DELETE",
        dataSourceConfiguration={"type": "S3", "s3Configuration": bucket},
        vectorIngestionConfiguration={"chunkingConfiguration": options},
    )["dataSource"]["dataSourceId"]
    sources.append(source)
    here = {"knowledgeBaseId": base, "dataSourceId": source}
    job = agent.start_ingestion_job(**here)["ingestionJob"]
    while job["status"] not in {"COMPLETE", "FAILED", "STOPPED"}:
        time.sleep(0.5)
        job = agent.get_ingestion_job(**here, ingestionJobId=job["ingestionJobId"])["ingestionJob"]
    print(f"{chunking:>12}: {job['status']}, {job['statistics']['numberOfNewDocumentsIndexed']} documents")

# --- asked ------------------------------------------------------------------------------------------------------------
question = "How long before a flight must it be approved?"
for words, search in (
    ("everything", {}),
    ("this year's", {"filter": {"greaterThanOrEquals": {"key": "year", "value": 2025}}}),
    (
        "finance's own, by words and meaning",
        {
            "overrideSearchType": "HYBRID",
            "filter": {
                "andAll": [
                    {"equals": {"key": "department", "value": "finance"}},
                    {"greaterThan": {"key": "year", "value": 2020}},
                ]
            },
        },
    ),
):
    found = runtime.retrieve(
        knowledgeBaseId=base,
        retrievalQuery={"text": question},
        retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 3, **search}},
    )["retrievalResults"]
    places = dict.fromkeys(result["location"]["s3Location"]["uri"].rpartition("/")[2] for result in found)
    print(f"{words}: {', '.join(places)}")

answer = runtime.retrieve_and_generate(
    input={"text": question},
    retrieveAndGenerateConfiguration={
        "type": "KNOWLEDGE_BASE",
        "knowledgeBaseConfiguration": {
            "knowledgeBaseId": base,
            "modelArn": arn_of(WRITER),
            "retrievalConfiguration": {
                "vectorSearchConfiguration": {
                    "numberOfResults": 3,
                    "filter": {"greaterThanOrEquals": {"key": "year", "value": 2025}},
                }
            },
            "generationConfiguration": {
                "promptTemplate": {"textPromptTemplate": PROMPT},
                "inferenceConfig": {"textInferenceConfig": {"temperature": 0.1, "topP": 0.9, "maxTokens": 200}},
            },
        },
    },
)
print(answer["output"]["text"])
for citation in answer["citations"]:
    for reference in citation["retrievedReferences"]:
        print("  from", reference["location"]["s3Location"]["uri"])

# --- all of it goes ---------------------------------------------------------------------------------------------------
for source in sources:
    agent.delete_data_source(knowledgeBaseId=base, dataSourceId=source)
agent.delete_knowledge_base(knowledgeBaseId=base)
collections.delete_collection(id=collection["id"])
collections.delete_access_policy(name=name, type="data")
for kind in ("encryption", "network"):
    collections.delete_security_policy(name=name, type=kind)
iam.detach_role_policy(RoleName=name, PolicyArn=policy["Arn"])
iam.delete_role(RoleName=name)
iam.delete_policy(PolicyArn=policy["Arn"])
listed = s3.list_objects_v2(Bucket=name)["Contents"]
s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": found["Key"]} for found in listed]})
s3.delete_bucket(Bucket=name)
print("cleaned up")
