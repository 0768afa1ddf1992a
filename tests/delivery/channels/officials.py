"""Rebuilds captured requests with the service's own client, and compares what both put on the wire."""

import base64
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

os.environ["SLACKCLIENT_SKIP_DEPRECATION"] = "1"

SEEN = []
ANSWERS = {
    "slack": (200, {"ok": True, "channel": "C1", "ts": "1.2"}),
    "twilio": (201, {"sid": "SM1", "status": "queued"}),
}


def record(service):
    """A receiver that answers as the service does, and keeps what its own client sent."""
    status, answer = ANSWERS[service]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            SEEN.append({"method": "POST", "path": self.path, "headers": headers, "body": body})
            said = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what} differs\nours:   {ours}\ntheirs: {theirs}")


def content_type(request):
    return request["headers"]["content-type"].lower().replace(" ", "")


def slack(ours):
    from slack_sdk import WebClient
    from slack_sdk.models.attachments import ActionLinkButton, Attachment, AttachmentField, InteractiveAttachment
    from slack_sdk.models.messages.message import Message

    body = json.loads(ours["body"])
    # The models know the limits: to_dict() checks them.
    attachments = []
    for attachment in body.get("attachments", []):
        known = {"color", "fields", "text", "footer", "actions"}
        same("attachment's keys", set(attachment) - known, set())
        for field in attachment.get("fields", []):
            same("a field", field, AttachmentField(title=field["title"], value=field["value"], short=field["short"]).to_dict())
            assert isinstance(field["value"], str) and isinstance(field["title"], str)
        fields = [AttachmentField(**field) for field in attachment.get("fields", [])]
        common = {"text": attachment["text"], "fallback": "x", "fields": fields, "color": attachment["color"], "footer": attachment["footer"]}
        actions = attachment.get("actions")
        if actions is None:
            model = Attachment(**common)
        else:
            for action in actions:
                style = {"style": action["style"]} if "style" in action else {}
                same("a button", action, {**ActionLinkButton(text=action["text"], url=action["url"]).to_dict(), **style})
                assert style in ({}, {"style": "primary"})
            buttons = [ActionLinkButton(text=action["text"], url=action["url"]) for action in actions]
            model = InteractiveAttachment(callback_id="x", actions=buttons, **common)
        rebuilt = model.to_dict()
        for key in ("text", "color", "footer", "fields"):
            same(f"the attachment's {key}", attachment.get(key) or [], rebuilt.get(key) or [])
        attachments.append(model)
    Message(text=body["text"], attachments=attachments).to_dict()
    assert body["text"].strip() and len(body["text"]) <= 4000, "too long for a text"

    token = ours["headers"]["authorization"].removeprefix("Bearer ")
    client = WebClient(token=token, base_url=record("slack") + "/api/")
    client.chat_postMessage(**body)
    theirs = SEEN[0]
    sent = json.loads(theirs["body"]) if theirs["body"].startswith("{") else None
    same("the body", body, sent)
    for name in ("authorization",):
        same(name, ours["headers"][name], theirs["headers"][name])
    same("content-type", content_type(ours), content_type(theirs))
    return theirs


def pagerduty(ours):
    from httpx2 import MockTransport, Response
    from pagerduty import EventsApiV2Client

    def keep(request):
        # It speaks https alone, so what it would put on the wire is kept a step before.
        SEEN.append({"method": request.method, "path": request.url.path, "body": request.content.decode()})
        return Response(202, json={"status": "success", "dedup_key": "x"})

    body = json.loads(ours["body"])
    client = EventsApiV2Client(body["routing_key"], transport=MockTransport(keep))
    action = body["event_action"]
    if action == "trigger":
        payload = dict(body["payload"])
        # The fields and bounds of the Events API's reference.
        fields = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
        same("the payload's keys", set(payload) - fields, set())
        assert payload["severity"] in ("critical", "error", "warning", "info")
        assert 0 < len(payload["summary"]) <= 1024
        same("the event's keys", set(body) - {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}, set())
        for link in body.get("links", []):
            same("a link", sorted(link), ["href", "text"])
        more = {key: body[key] for key in ("client", "client_url", "links", "payload") if key in body}
        client.send_event("trigger", dedup_key=body["dedup_key"], **more)
    elif action == "acknowledge":
        client.acknowledge(body["dedup_key"])
    else:
        client.resolve(body["dedup_key"])
    assert 0 < len(body["dedup_key"]) <= 255
    theirs = SEEN[0]
    same("the body", body, json.loads(theirs["body"]))
    return theirs


def twilio(ours):
    from twilio.base.exceptions import TwilioException
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    receiver = record("twilio")

    class Here(TwilioHttpClient):
        def request(self, method, url, *args, **kwargs):
            return super().request(method, receiver + urlsplit(url).path, *args, **kwargs)

    account, token = base64.b64decode(ours["headers"]["authorization"].removeprefix("Basic ")).decode().split(":", 1)
    form = {name: values[0] for name, values in parse_qs(ours["body"], strict_parsing=True).items()}
    names = {"To": "to", "From": "from_", "MessagingServiceSid": "messaging_service_sid", "Body": "body"}
    same("the form's names", set(form) - set(names), set())
    assert len(form["Body"]) <= 1600
    Client(account, token, http_client=Here()).messages.create(**{names[name]: value for name, value in form.items()})
    theirs = SEEN[0]
    same("the form", form, {name: values[0] for name, values in parse_qs(theirs["body"]).items()})
    same("authorization", ours["headers"]["authorization"], theirs["headers"]["authorization"])
    same("content-type", content_type(ours), content_type(theirs))
    return theirs


for captured in json.load(sys.stdin):
    SEEN.clear()
    official = {"slack": slack, "pagerduty": pagerduty, "twilio": twilio}[captured["service"]](captured)
    same("the method", captured["method"], official["method"])
    same("the path", captured["path"], official["path"])
print("the same")
