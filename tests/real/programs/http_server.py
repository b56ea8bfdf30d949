# SPDX-License-Identifier: BSD-2-Clause
# An HTTP server with a thread for each connection; answers with the path.  SIGINT ends it well.
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"you asked for " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request, address):
        """Clients that leave with a reset are usual here; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("stopped")
