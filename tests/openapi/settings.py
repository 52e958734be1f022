"""Creates teams and tickets on a local stack, and prints the settings of schemathesis for one contract.

Takes the contract's name and the line that `muster dev --json` prints.
"""

import json
import sys
import time
import urllib.request

contract, stack = sys.argv[1], json.loads(sys.argv[2])
url, key = stack["url"], stack["keys"][contract]["admin"]
users = [user["id"] for user in stack["users"] if user["status"] == "active"]


def ask(method, path, body=None):
    request = urllib.request.Request(url + path, method=method, headers={
        "Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, json.dumps(body).encode() if body is not None else None) as response:
        text = response.read()
    body = json.loads(text) if text else None
    return body["data"] if contract == "itsm" and isinstance(body, dict) and "data" in body else body


def team(name):
    """Creates a team with two members."""
    made = ask("POST", "/v1/teams", {"name": f"{contract}: {name}"})["id"]
    for user in users[:2]:
        ask("POST", f"/v1/teams/{made}/members", {"user_id": user})
    return made


def ticket(number, team):
    """Sends a ticket of a team."""
    made = f"{contract}-{number}"
    ask("POST", "/_dev/queues/tickets", {
        "specversion": "1.0",
        "id": made,
        "source": "/settings",
        "type": "ticket.created",
        "data": {
            "organization_id": stack["organization_id"],
            "ticket": {"id": made, "status": "open", "team_id": team, "updated_at": "2025-03-03T09:00:00Z"},
        },
    })
    return made


stable = [team(f"stable {n}") for n in range(4)]
doomed = [team(f"doomed {n}") for n in range(20)]
tickets = [ticket(n, stable[n % len(stable)]) for n in range(8)]
deadline = time.monotonic() + 30
while len(ask("GET", f"/v1/teams/{stable[-1]}/assignments")) < len(tickets) / len(stable):
    if time.monotonic() > deadline:
        sys.exit("the tickets were not assigned within 30 seconds")
    time.sleep(0.1)

# A valid request may still fail because of the stack's state, for example because a name is taken. TopTickets uses 422 both for
# that and for an exceeded bound; a test of the workspace checks that the document has the bounds of the parsers.
statuses = ["2xx", 401, 403, 404, 409, 412, 422, 429]

print(f"""
base-url = {json.dumps(url)}
# A key may make 2,000 requests a minute.
rate-limit = "1500/m"
warnings = {{ display = ["missing_auth", "unsupported_regex"], fail-on = true }}

[auth.openapi.apiKey]
bearer = {json.dumps(key)}

[dictionaries]
users = {{ values = {json.dumps(users)} }}
stable = {{ values = {json.dumps(stable)} }}
doomed = {{ values = {json.dumps(doomed)} }}
tickets = {{ values = {json.dumps(tickets)} }}

[parameters]
"path.team_id" = {{ dictionary = "stable", probability = 0.7 }}
"path.user_id" = {{ dictionary = "users", probability = 0.7 }}
"path.ticket_id" = {{ dictionary = "tickets", probability = 0.7 }}
"body.user_id" = {{ dictionary = "users", probability = 0.7 }}
"body.lead_id" = {{ dictionary = "users", probability = 0.7 }}
# A body that its schema accepts may have further fields, which `strict=true` rejects. The tests of the workspace cover it.
"query.strict" = "false"

[checks.positive_data_acceptance]
expected-statuses = {json.dumps(statuses)}

# This check takes the id of a new team for that of a member. Also, a replayed creation may be of a team that was deleted since.
[checks.ensure_resource_availability]
enabled = false

# The parameters of this operation depend on each other, which a schema of single parameters does not express.
[[operations]]
include-operation-id = "find_assignments"

[operations.checks.positive_data_acceptance]
expected-statuses = {json.dumps([400, *statuses])}

[[operations]]
include-operation-id = "delete_team"
parameters = {{ "path.team_id" = {{ dictionary = "doomed", probability = 0.7 }} }}
""")
