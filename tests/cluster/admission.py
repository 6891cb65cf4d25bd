"""An admission webhook on loopback that judges the creation of pods, for tests."""

import base64
import http.server
import json
import ssl
import subprocess
import threading
import time

from control_plane import free_port

NAME = "judge"
PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
TIMEOUT = 1  # Seconds that the API server waits for it.


class Judge:
    """Says no with `reason`, or takes longer than the API server waits."""

    def __init__(self, world, reason=None):
        self.world, self.reason, self.asked = world, reason, 0
        certificate, key = world.directory / "judge.crt", world.directory / "judge.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", certificate, "-days", "1", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
        self.server.handle_error = lambda *_: None  # The API server has hung up.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        world.admin.must("POST", PATH, {"metadata": {"name": NAME}, "webhooks": [{
            "name": "judge.shadow.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "timeoutSeconds": TIMEOUT, "failurePolicy": "Fail",
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}/", "caBundle":
                             base64.b64encode(certificate.read_bytes()).decode()},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                       "operations": ["CREATE"]}]}]})

    def handler(self):
        judge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                judge.asked += 1
                if judge.reason is None:
                    time.sleep(TIMEOUT + 0.5)
                answer = json.dumps({**review, "request": None, "response": {
                    "uid": review["request"]["uid"], "allowed": judge.reason is None,
                    "status": {"code": 403, "message": judge.reason or ""}}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass
        return Handler

    def remove(self):
        self.world.admin.must("DELETE", f"{PATH}/{NAME}")
        self.server.shutdown()
        self.server.server_close()
