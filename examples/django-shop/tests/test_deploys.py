from typing import Any

import pytest
from hookward.test import Attack, Webhooks, webhooks_attacks

from deploys.models import Deploy

pytestmark = pytest.mark.django_db

COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


def push(ref: str = "refs/heads/main") -> dict[str, Any]:
    return {
        "ref": ref,
        "before": "0" * 40,
        "after": COMMIT,
        "deleted": False,
        "repository": {"id": 1, "full_name": "shop/web"},
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "commits": [],
    }


def test_a_push_to_main_is_to_be_deployed(webhooks: Webhooks) -> None:
    assert webhooks.deliver("github", push(), X_GitHub_Event="push").status_code == 200
    deploy = Deploy.objects.get()
    assert (deploy.repository, deploy.commit, deploy.pushed_by) == ("shop/web", COMMIT, "ada")


def test_a_redelivery_has_another_id_and_is_the_same_push(webhooks: Webhooks) -> None:
    """`X-GitHub-Delivery` is not signed: whoever captured a request could change it. The content tells."""
    for delivery in ("1b2c", "3d4e"):
        answer = webhooks.deliver("github", push(), X_GitHub_Event="push", X_GitHub_Delivery=delivery)
        assert answer.status_code == 200
    assert Deploy.objects.count() == 1


def test_other_branches_are_left_alone(webhooks: Webhooks) -> None:
    assert webhooks.deliver("github", push("refs/heads/try"), X_GitHub_Event="push").status_code == 200
    assert Deploy.objects.count() == 0


@pytest.mark.parametrize("attack", webhooks_attacks("github", push()), ids=lambda attack: attack.name)
def test_attacks(webhooks: Webhooks, attack: Attack) -> None:
    webhooks.withstand(attack)
    assert Deploy.objects.count() <= attack.effects
