"""What `hookward dynamodb` prints, judged by the linters that people use: parliament, cfn-lint, a parser of HCL.

A linter that finds nothing proves little unless it finds something elsewhere: each is also given planted mistakes. What no
linter looks at, such as keys without their guard, is judged by `faults` here, and by evaluating the policies.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import hcl2
import pytest
import yaml

with warnings.catch_warnings():
    # It reads its data through a deprecated package, and leaves the files open.
    warnings.simplefilter("ignore")
    import parliament

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
HOOKWARD = TARGET / "debug/hookward"

ACCOUNT = "123456789012"
TABLE_ARN = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/webhooks"
KEY_ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ROLES = ["gateway", "library", "reader", "replayer", "trainer", "provisioner", "doctor"]
# Who takes webhooks: verifies them, and keeps what is new.
TAKERS = ("gateway", "library")

ADMIN = '[admin]\ntoken = "env:ADMIN_TOKEN"\n'
STORE = '[store]\nkind = "dynamodb"\ntable = "webhooks"\nregion = "eu-central-1"\nwrite_units_max = 750\n'
SOURCE = '[sources.orders]\nprovider = "hmac"\nsecret = "env:ORDERS"\n'
KEYED = f'kms_key = "{KEY_ARN}"\n'
ALIASED = 'kms_key = "alias/webhooks"\n'
KEYS_ARN = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/*"
BUCKET = 'large_bodies_bucket = "webhooks-bodies"\nlarge_bodies_prefix = "orders/"\n'
BUCKET_ARN = "arn:aws:s3:::webhooks-bodies"
BODIES_ARN = BUCKET_ARN + "/orders/*"
# The usual retention of 30 days, a week, and a day.
BODIES_DAYS = 38
NAMED = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:prod/named-AbCdEf"
# Two keys of one secret are one secret; so are the names with and without what Secrets Manager puts behind them.
REFERENCES = ["aws-sm:prod/webhooks#a", "aws-sm:prod/webhooks#b", f"aws-sm:{NAMED}", "aws-ssm:/prod/c"]
SECRETS = "".join(
    f'[sources.s{number}]\nprovider = "hmac"\nsecret = "{reference}"\n' for number, reference in enumerate(REFERENCES)
)
SECRET_ARNS = [f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:prod/webhooks-??????", NAMED]
PARAMETER_ARN = f"arn:aws:ssm:eu-central-1:{ACCOUNT}:parameter/prod/c"
CONFIGURATIONS = {
    "plain": STORE + SOURCE,
    "admin": ADMIN + STORE + SOURCE,
    "key": STORE + KEYED + SOURCE,
    "alias": STORE + ALIASED + SOURCE,
    "each": STORE + 'completion = "each"\n' + SOURCE,
    "bucket": STORE + BUCKET + SOURCE,
    "secrets": STORE + SOURCE + SECRETS,
    "everything": ADMIN + STORE + KEYED + BUCKET + 'completion = "each"\n' + SOURCE + SECRETS,
}


def written(name, tmp_path):
    path = tmp_path / "hookward.toml"
    path.write_text(CONFIGURATIONS[name], encoding="utf-8")
    return path


@pytest.fixture(params=CONFIGURATIONS)
def configuration(request, tmp_path):
    return written(request.param, tmp_path)


@pytest.fixture(params=[name for name in CONFIGURATIONS if name != "alias"])
def without_alias(request, tmp_path):
    """Terraform looks up the key that has an alias, and its policies name that."""
    return written(request.param, tmp_path)


def hookward(configuration, *arguments):
    """What the command prints."""
    assert HOOKWARD.exists(), "run `cargo test -p hookward` first: it builds the program"
    command = [HOOKWARD, "dynamodb", *arguments, "--config", configuration]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env={}).stdout


def policies(configuration):
    return json.loads(hookward(configuration, "iam", "--account", ACCOUNT, "--json"))


# What the linter's community rules say of a policy that has to do it.
EXPECTED = {("provisioner", "PERMISSIONS_MANAGEMENT_ACTIONS"): "who encrypts a table lets DynamoDB use the key: kms:CreateGrant"}


def is_of_the_resource(finding):
    """Whether a condition that the linter does not know of an action is one of what the action is done to, as the linter's own
    data has it: it only looks at the action."""
    unknown = re.fullmatch(r"Unknown condition (\S+) for action ([^:]+):(\S+)", str(finding.detail))
    if finding.issue != "UNKNOWN_CONDITION_FOR_ACTION" or not unknown:
        return False
    condition, prefix, action = unknown.groups()
    (service,) = [it for it in parliament.iam_definition if it["prefix"] == prefix]
    (privilege,) = [it for it in service["privileges"] if it["privilege"] == action]
    kinds = {it["resource_type"].rstrip("*") for it in privilege["resource_types"]}
    return any(condition in it["condition_keys"] for it in service["resources"] if it["resource"] in kinds)


def linted(policy):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = parliament.analyze_policy_string(json.dumps(policy), include_community_auditors=True).findings
    return [finding for finding in found if not is_of_the_resource(finding)]


def is_objects(statement):
    """Whether it is about objects of one bucket, below a prefix: those cannot be named otherwise."""
    return (
        statement["Resource"] == BODIES_ARN
        and {action.split(":")[0] for action in statement["Action"]} == {"s3"}
        and all(action.endswith("Object") for action in statement["Action"])
    )


def is_aliased(statement):
    """Whether it is about the key of one account and region that has an alias: a policy cannot name it otherwise."""
    aliases = statement.get("Condition", {}).get("ForAnyValue:StringEquals", {}).get("kms:ResourceAliases")
    return (
        statement["Resource"] == KEYS_ARN
        and {action.split(":")[0] for action in statement["Action"]} == {"kms"}
        and bool(aliases)
        and not any("*" in alias or "?" in alias for alias in aliases)
    )


def listed(one_or_several):
    return one_or_several if isinstance(one_or_several, list) else [one_or_several]


def nameless(resource):
    """A resource without the characters that Secrets Manager puts behind a secret's name, which nobody knows beforehand."""
    return resource.removesuffix("-??????") if ":secretsmanager:" in resource else resource


def faults(policy):
    """What no linter finds: where a policy is not least privilege as Hookward means it."""
    found = []
    for statement in policy["Statement"]:
        if not {"Sid", "Effect", "Action", "Resource"} <= statement.keys():
            found.append("not all of Sid, Effect, Action, Resource")
            continue
        actions, conditions = statement["Action"], statement.get("Condition", {})
        if any("*" in action or "?" in action for action in actions):
            found.append("an action with a wildcard")
        if any("*" in it or "?" in nameless(it) for it in listed(statement["Resource"])) and not (
            is_objects(statement) or is_aliased(statement)
        ):
            found.append("a resource with a wildcard")
        if statement["Effect"] != "Allow":
            continue
        if any(action.startswith("kms:") for action in actions):
            if "kms:ViaService" not in conditions.get("StringEquals", {}):
                found.append("a key that is not only used through DynamoDB")
        elif any(action.endswith(("Item", ":Query", ":Scan")) for action in actions):
            patterns = conditions.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
            if not patterns or any(pattern.startswith("*") for pattern in patterns):
                found.append("items that are not bounded by their keys")
            if conditions.get("Null") != {"dynamodb:LeadingKeys": "false"}:
                found.append("a request without keys slips through")
    denied = {action for it in policy["Statement"] if it.get("Effect") == "Deny" for action in it["Action"]}
    missing = {"dynamodb:DeleteTable", *(f"dynamodb:PartiQL{verb}" for verb in ("Delete", "Insert", "Select", "Update"))}
    found.extend(f"{action} is not denied" for action in sorted(missing - denied))
    return found


def allows(policy, action, *keys):
    """The verdict of IAM on a request for items under these keys, or for the table; written after its documentation."""

    def holds(operator, values):
        equals = ("StringEquals", "ForAnyValue:StringEquals")
        assert operator in ("ForAllValues:StringLike", "ForAnyValue:StringLike", "Null", *equals), operator
        if operator in equals:
            return True
        if operator == "Null":
            return (values["dynamodb:LeadingKeys"] == "true") == (not keys)
        like = [any(fnmatch.fnmatchcase(key, pattern) for pattern in values["dynamodb:LeadingKeys"]) for key in keys]
        return all(like) if operator == "ForAllValues:StringLike" else any(like)

    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if action in statement["Action"]
        and all(holds(operator, values) for operator, values in statement.get("Condition", {}).items())
    }
    return effects == {"Allow"}


def test_the_linter_finds_nothing_in_the_policies(configuration):
    for role, policy in policies(configuration).items():
        found = {(role, finding.issue): finding.detail for finding in linted(policy)}
        assert found.keys() <= EXPECTED.keys(), found
        assert faults(policy) == []
        # The most that AWS takes as a managed policy, without white space.
        assert len(json.dumps(policy, separators=(",", ":"))) <= 6144, role


def test_each_role_is_printed_alone_as_with_the_others(configuration):
    together = policies(configuration)
    assert list(together) == ROLES
    for role in ROLES:
        assert json.loads(hookward(configuration, "iam", "--account", ACCOUNT, "--role", role)) == together[role]


def test_the_policies_name_one_table_and_one_key(configuration):
    text = configuration.read_text(encoding="utf-8")
    key = {KEY_ARN} if KEYED in text else {KEYS_ARN} if ALIASED in text else set()
    statements = [it for policy in policies(configuration).values() for it in policy["Statement"]]
    resources = {resource for it in statements for resource in listed(it["Resource"])}
    secrets = {*SECRET_ARNS, PARAMETER_ARN} if "aws-sm:" in text else set()
    bucket = {BUCKET_ARN, BODIES_ARN} if "bucket" in text else set()
    assert resources == {TABLE_ARN} | key | bucket | secrets


def test_only_who_takes_webhooks_reads_secrets_and_only_those_that_are_named(configuration):
    named = "aws-sm:" in configuration.read_text(encoding="utf-8")
    for role, policy in policies(configuration).items():
        read = {
            action: it["Resource"]
            for it in policy["Statement"]
            for action in it["Action"]
            if action.startswith(("secretsmanager:", "ssm:"))
        }
        expected = {"secretsmanager:GetSecretValue": SECRET_ARNS, "ssm:GetParameter": PARAMETER_ARN}
        assert read == (expected if named and role in TAKERS else {}), role


def test_the_policies_evaluate_to_what_they_are_for(configuration):
    policy = policies(configuration)
    event, others = "e#abc", ("j#1", "r#abc", "x#20000#0", "n", "n#table", "n#ended", "zzz")
    for role in ROLES:
        assert not allows(policy[role], "dynamodb:DeleteItem", event), role
        assert not allows(policy[role], "dynamodb:Scan"), role
        assert not allows(policy[role], "dynamodb:DeleteTable"), role
        assert not allows(policy[role], "dynamodb:PartiQLSelect", event), role
        assert not allows(policy[role], "dynamodb:GetItem"), f"{role}: no key is no way round the keys"
        assert not allows(policy[role], "dynamodb:GetItem", "zzz"), role
        assert not allows(policy[role], "dynamodb:GetItem", event, "zzz"), role
        assert allows(policy[role], "dynamodb:UpdateTable") == (role == "provisioner"), role
        assert allows(policy[role], "dynamodb:PutItem", event) == (role in TAKERS), role
        assert allows(policy[role], "dynamodb:PutItem", "d#shop") == (role == "trainer"), role
        assert not allows(policy[role], "dynamodb:DeleteItem", "d#shop"), role
        writes = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
        if role in ("reader", "provisioner", "doctor"):
            assert not any(allows(policy[role], write, key) for write in writes for key in (event, *others)), role
    assert allows(policy["gateway"], "dynamodb:GetItem", event)
    assert allows(policy["gateway"], "dynamodb:BatchGetItem", event, "r#abc", "e#def")
    assert not allows(policy["gateway"], "dynamodb:BatchGetItem", event, "zzz")
    assert allows(policy["reader"], "dynamodb:GetItem", event)
    assert allows(policy["doctor"], "dynamodb:DescribeTable")
    text = configuration.read_text(encoding="utf-8")
    assert allows(policy["gateway"], "kms:Decrypt") == ("kms_key" in text)
    assert allows(policy["gateway"], "s3:PutObject") == ("bucket" in text)
    for role in ROLES:
        works = role in ("gateway", "library", "reader", "replayer", "trainer")
        assert allows(policy[role], "s3:GetObject") == (works and "bucket" in text), role
        assert allows(policy[role], "s3:PutObject") <= (role in TAKERS), role
        assert not allows(policy[role], "s3:DeleteObject"), role
    assert allows(policy["gateway"], "dynamodb:UpdateItem", event)
    assert allows(policy["replayer"], "dynamodb:UpdateItem", event) == ("each" in text)
    assert allows(policy["gateway"], "dynamodb:Query", "x#20000#0") == ("[admin]" in text)


def gateway(change):
    """A gateway's policy with a planted mistake."""
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["e#*"]}, "Null": {"dynamodb:LeadingKeys": "false"}}
    names = ("DeleteTable", "PartiQLDelete", "PartiQLInsert", "PartiQLSelect", "PartiQLUpdate")
    items = {"Sid": "A", "Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": TABLE_ARN, "Condition": condition}
    never = {"Sid": "B", "Effect": "Deny", "Action": [f"dynamodb:{name}" for name in names], "Resource": TABLE_ARN}
    policy = {"Version": "2012-10-17", "Statement": [items, never]}
    change(policy["Statement"])
    return policy


PLANTED = {
    "no action of this name": (lambda it: it[0].update(Action=["dynamodb:GetItems"]), "UNKNOWN_ACTION"),
    "no service of this name": (lambda it: it[0].update(Action=["dynamo:GetItem"]), "UNKNOWN_PREFIX"),
    "a resource of another kind": (lambda it: it[0].update(Resource=KEY_ARN), "RESOURCE_MISMATCH"),
    "a name twice": (lambda it: it[1].update(Sid="A"), "DUPLICATE_SID"),
    "keys of a scan": (lambda it: it[0].update(Action=["dynamodb:Scan"]), "UNKNOWN_CONDITION_FOR_ACTION"),
    "no such operator": (
        lambda it: it[0].update(Condition={"StringLikes": {"dynamodb:LeadingKeys": "e#*"}}),
        "UNKNOWN_OPERATOR",
    ),
    "a guard that is no guard": (
        lambda it: it[0]["Condition"].update(Null={"dynamodb:LeadingKeys": "no"}),
        "MISMATCHED_TYPE_OPERATION_TO_NULL",
    ),
    "an action with a wildcard": (lambda it: it[0].update(Action=["dynamodb:*"]), None),
    "a resource with a wildcard": (lambda it: it[0].update(Resource="*"), None),
    "items that are not bounded by their keys": (lambda it: it[0].pop("Condition"), None),
    "a request without keys slips through": (lambda it: it[0]["Condition"].pop("Null"), None),
    "not all of Sid, Effect, Action, Resource": (lambda it: it[0].update(NotAction=it[0].pop("Action")), None),
    "a key that is not only used through DynamoDB": (
        lambda it: it.append({"Sid": "C", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY_ARN}),
        None,
    ),
    "dynamodb:DeleteTable is not denied": (lambda it: it[1]["Action"].remove("dynamodb:DeleteTable"), None),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_mistakes_are_found(fault):
    change, issue = PLANTED[fault]
    policy = gateway(change)
    if issue is None:
        assert fault in faults(policy)
    else:
        assert issue in {finding.issue for finding in linted(policy)}


@pytest.mark.parametrize(("alias", "is_fault"), [("alias/webhooks", False), ("alias/*", True), (None, True)])
def test_all_keys_are_named_only_for_one_alias(alias, is_fault):
    condition = {"StringEquals": {"kms:ViaService": "dynamodb.eu-central-1.amazonaws.com"}}
    if alias is not None:
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": [alias]}
    key = {"Sid": "C", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEYS_ARN, "Condition": condition}
    policy = gateway(lambda statements: statements.append(key))
    assert faults(policy) == (["a resource with a wildcard"] if is_fault else [])


def test_a_secret_with_a_wildcard_in_its_name_is_found():
    any_secret = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:prod/?-??????"
    read = {"Sid": "C", "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [any_secret]}
    assert faults(gateway(lambda statements: statements.append(read))) == ["a resource with a wildcard"]


def test_the_policy_with_nothing_planted_is_good():
    policy = gateway(lambda statements: None)
    assert linted(policy) == [] and faults(policy) == []


def cfn_lint(templates, folder):
    """What cfn-lint says of each of these, in one run of it. It reads nothing but what is installed with it."""
    for name, text in templates.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, Path(sys.executable).with_name("cfn-lint"), "--format", "json", "--regions", "eu-central-1", "us-east-1"]
    command += ["--", *(folder / f"{name}.yaml" for name in templates)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ran.stderr == ""
    said = {name: [] for name in templates}
    for finding in json.loads(ran.stdout or "[]"):
        said[Path(finding["Filename"]).stem].append(finding["Message"])
    return said


SERVICE = ("--policies", "--gateway-service", "ecs-tasks.amazonaws.com")


def test_the_linter_finds_nothing_in_the_templates(tmp_path):
    configuration = tmp_path / "hookward.toml"
    templates = {}
    for name, text in CONFIGURATIONS.items():
        configuration.write_text(text, encoding="utf-8")
        templates[f"{name}-table"] = hookward(configuration, "cloudformation")
        templates[f"{name}-all"] = hookward(configuration, "cloudformation", *SERVICE)
        if "bucket" in text:
            templates[f"{name}-bucket"] = hookward(configuration, "cloudformation", "--bucket", *SERVICE)
    said = cfn_lint(templates, tmp_path)
    assert said == {name: [] for name in templates}


def test_planted_mistakes_in_the_template_are_found(tmp_path):
    configuration = tmp_path / "hookward.toml"
    configuration.write_text(CONFIGURATIONS["everything"], encoding="utf-8")
    template = hookward(configuration, "cloudformation", *SERVICE)
    planted = {
        "window": ("RecoveryPeriodInDays: 35", "RecoveryPeriodInDays: 36"),
        "kind": ('KeyType: "RANGE"', 'KeyType: "SORT"'),
        "property": ("DeletionProtectionEnabled:", "DeleteProtectionEnabled:"),
        "reference": ('Ref: "MaxWriteRequestUnits"', 'Ref: "MaxWriteUnits"'),
        "statement": ('Action: "sts:AssumeRole"', 'Actions: "sts:AssumeRole"'),
    }
    assert all(was in template for was, _ in planted.values())
    said = cfn_lint({name: template.replace(*change) for name, change in planted.items()}, tmp_path)
    assert all(said.values()), said


def test_the_template_makes_the_table_that_the_configuration_wants(configuration):
    template = yaml.safe_load(hookward(configuration, "cloudformation"))
    assert template == json.loads(hookward(configuration, "cloudformation", "--json"))
    assert list(template["Resources"]) == ["Table"]
    table = template["Resources"]["Table"]
    assert table["Type"] == "AWS::DynamoDB::Table"
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    properties = table["Properties"]
    assert template["Parameters"]["TableName"]["Default"] == "webhooks"
    assert template["Parameters"]["MaxWriteRequestUnits"]["Default"] == 750
    assert properties["OnDemandThroughput"] == {"MaxWriteRequestUnits": {"Ref": "MaxWriteRequestUnits"}}
    assert properties["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "x", "Enabled": True}
    recovery = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 35}
    assert properties["PointInTimeRecoverySpecification"] == recovery
    assert properties["DeletionProtectionEnabled"] is True
    text = configuration.read_text(encoding="utf-8")
    key = KEY_ARN if KEYED in text else "alias/webhooks"
    encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    assert properties.get("SSESpecification") == (encryption if "kms_key" in text else None)
    # No index: each would cost as much again as the table.
    assert not any("Index" in name for name in properties)


def with_bucket(tmp_path):
    configuration = tmp_path / "hookward.toml"
    configuration.write_text(CONFIGURATIONS["bucket"], encoding="utf-8")
    return configuration


def test_the_template_makes_the_bucket_for_nobody_else_and_long_enough(tmp_path):
    template = yaml.safe_load(hookward(with_bucket(tmp_path), "cloudformation", "--bucket"))
    assert list(template["Resources"]) == ["Table", "Bodies"]
    bucket = template["Resources"]["Bodies"]
    assert bucket["Type"] == "AWS::S3::Bucket"
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    properties = bucket["Properties"]
    assert properties["BucketName"] == "webhooks-bodies"
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["Prefix"], rule["ExpirationInDays"]) == ("Enabled", "orders/", BODIES_DAYS)
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_terraform_makes_the_bucket_for_nobody_else_and_long_enough(tmp_path):
    _, blocks = terraform(with_bucket(tmp_path), "--bucket")
    assert blocks["aws_s3_bucket.hookward_bodies"]["bucket"] == "webhooks-bodies"
    block = dict(blocks["aws_s3_bucket_public_access_block.hookward_bodies"])
    assert block.pop("bucket") == "${aws_s3_bucket.hookward_bodies.id}"
    assert len(block) == 4 and set(block.values()) == {True}
    (rule,) = blocks["aws_s3_bucket_lifecycle_configuration.hookward_bodies"]["rule"]
    assert rule["filter"] == [{"prefix": "orders/"}]
    assert (rule["status"], rule["expiration"]) == ("Enabled", [{"days": BODIES_DAYS}])
    (rule,) = blocks["aws_s3_bucket_server_side_encryption_configuration.hookward_bodies"]["rule"]
    assert rule["apply_server_side_encryption_by_default"] == [{"sse_algorithm": "AES256"}]


VIA = "dynamodb.eu-central-1.amazonaws.com"


def test_the_template_has_the_policies_that_iam_prints(configuration):
    printed = policies(configuration)
    resources = yaml.safe_load(hookward(configuration, "cloudformation", *SERVICE))["Resources"]
    for role in ("gateway", "reader", "replayer", "trainer", "doctor"):
        policy = resources[f"{role.capitalize()}Policy"]["Properties"]["PolicyDocument"]
        text = json.dumps(policy)
        text = text.replace('{"Fn::GetAtt": ["Table", "Arn"]}', json.dumps(TABLE_ARN))
        text = text.replace('{"Fn::Sub": "dynamodb.${AWS::Region}.${AWS::URLSuffix}"}', json.dumps(VIA))
        for arn in (BUCKET_ARN, BODIES_ARN, KEYS_ARN):
            here = f"eu-central-1:{ACCOUNT}", "${AWS::Region}:${AWS::AccountId}"
            substituted = {"Fn::Sub": arn.replace("arn:aws:", "arn:${AWS::Partition}:").replace(*here)}
            text = text.replace(json.dumps(substituted), json.dumps(arn))
        for arn in (*SECRET_ARNS, PARAMETER_ARN):
            here = arn.replace("arn:aws:", "arn:${AWS::Partition}:").replace("eu-central-1", "${AWS::Region}")
            substituted = {"Fn::Sub": here.replace(ACCOUNT, "${AWS::AccountId}")}
            text = text.replace(json.dumps(substituted), json.dumps(arn))
        assert json.loads(text) == printed[role], role
    role = resources["GatewayRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "GatewayPolicy"}]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}


def plain(value):
    """What a parser of HCL read, without its marks: quotes round texts, braces round expressions."""
    if isinstance(value, dict):
        return {plain(key): plain(it) for key, it in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [plain(it) for it in value]
    return value.strip('"') if isinstance(value, str) else value


def terraform(configuration, *arguments):
    """Blocks by kind: those of resources and data under `kind.name`."""
    parsed = plain(hcl2.loads(hookward(configuration, "terraform", *arguments)))
    blocks = {}
    for kind in ("resource", "data"):
        for block in parsed.get(kind, []):
            ((type_, named),) = block.items()
            ((name, body),) = named.items()
            assert blocks.setdefault(f"{type_}.{name}", body) is body, "a block twice"
    return parsed, blocks


def test_terraform_makes_the_table_that_the_configuration_wants(without_alias):
    parsed, blocks = terraform(without_alias)
    table = blocks["aws_dynamodb_table.hookward"]
    assert parsed["variable"][0]["hookward_write_units_max"]["default"] == 750
    assert table["on_demand_throughput"] == [{"max_write_request_units": "${var.hookward_write_units_max}"}]
    assert table["name"] == "webhooks"
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert (table["hash_key"], table["range_key"]) == ("pk", "sk")
    assert table["attribute"] == [{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}]
    assert table["ttl"] == [{"attribute_name": "x", "enabled": True}]
    assert table["point_in_time_recovery"] == [{"enabled": True, "recovery_period_in_days": 35}]
    assert table["deletion_protection_enabled"] is True
    assert table["lifecycle"] == [{"prevent_destroy": True}]
    keyed = "kms_key" in without_alias.read_text(encoding="utf-8")
    encryption = [{"enabled": True, "kms_key_arn": KEY_ARN}]
    assert table.get("server_side_encryption") == (encryption if keyed else None)
    assert list(blocks) == ["aws_dynamodb_table.hookward"]


def test_terraform_looks_up_a_key_that_is_named_by_an_alias(tmp_path):
    configuration = tmp_path / "hookward.toml"
    configuration.write_text(STORE + 'kms_key = "alias/webhooks"\n' + SOURCE, encoding="utf-8")
    _, blocks = terraform(configuration, "--policies")
    arn = "${data.aws_kms_key.hookward.arn}"
    assert blocks["aws_kms_key.hookward"] == {"key_id": "alias/webhooks"}
    assert blocks["aws_dynamodb_table.hookward"]["server_side_encryption"] == [{"enabled": True, "kms_key_arn": arn}]
    statements = blocks["aws_iam_policy_document.hookward_reader"]["statement"]
    assert [it["resources"] for it in statements if it["sid"] == "ReadUnderKey"] == [[arn]]


def test_terraform_has_the_policies_that_iam_prints(without_alias):
    printed = policies(without_alias)
    _, blocks = terraform(without_alias, "--policies")
    references = {
        "${aws_dynamodb_table.hookward.arn}": TABLE_ARN,
        "dynamodb.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}": VIA,
        "arn:${data.aws_partition.current.partition}:s3:::webhooks-bodies": BUCKET_ARN,
        "arn:${data.aws_partition.current.partition}:s3:::webhooks-bodies/orders/*": BODIES_ARN,
    }

    def named(arn):
        arn = arn.replace("${data.aws_partition.current.partition}", "aws")
        arn = arn.replace("${data.aws_region.current.region}", "eu-central-1")
        return arn.replace("${data.aws_caller_identity.current.account_id}", ACCOUNT)

    def statement(block):
        resources = [named(references.get(resource, resource)) for resource in block["resources"]]
        made = {"Sid": block["sid"], "Effect": block["effect"], "Action": block["actions"]}
        made["Resource"] = resources if len(resources) > 1 else resources[0]
        conditions = {}
        for it in block.get("condition", []):
            values = [references.get(value, value) for value in it["values"]]
            single = it["test"] in ("Null", "StringEquals")
            conditions[it["test"]] = {it["variable"]: values[0] if single else values}
        return made | ({"Condition": conditions} if conditions else {})

    for role in ("gateway", "reader", "replayer", "trainer", "doctor"):
        statements = blocks[f"aws_iam_policy_document.hookward_{role}"]["statement"]
        assert [statement(it) for it in statements] == printed[role]["Statement"], role
        policy = blocks[f"aws_iam_policy.hookward_{role}"]["policy"]
        assert policy == f"${{data.aws_iam_policy_document.hookward_{role}.json}}"


def test_the_parser_refuses_what_is_no_hcl():
    with pytest.raises(Exception, match="(?i)unexpected|expected"):
        hcl2.loads('resource "aws_dynamodb_table" "hookward" { name = }')
