"""A Python client generated from docs/openapi.json: it compiles, passes mypy, and works on a daemon."""

import compileall
import importlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from jsonschema import Draft202012Validator

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parents[3] / "docs/openapi.json"
sys.path[:0] = [str(HERE.parents[1] / "python"), str(HERE)]

from harness import Daemon, until  # noqa: E402

FRIEND = "15550100001"
MADE = pathlib.Path(tempfile.mkdtemp(prefix="wharf-generated-"))


def run(*command):
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=MADE, capture_output=True, text=True, timeout=120
    )


def setUpModule():
    # A warning means that a part of the document was skipped.
    generated = run(
        "openapi_python_client", "generate", "--path", DOCUMENT, "--config", HERE / "config.yml", "--meta", "none",
        "--output-path", MADE / "wharf_client", "--fail-on-warning",
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    sys.path.insert(0, str(MADE))


def tearDownModule():
    shutil.rmtree(MADE, ignore_errors=True)


class Generated(unittest.TestCase):
    def test_client_compiles(self):
        self.assertTrue(compileall.compile_dir(MADE / "wharf_client", quiet=1))

    def test_client_has_every_operation(self):
        paths = json.loads(DOCUMENT.read_text())["paths"]
        expected = sum(len(item) for item in paths.values())
        made = [path for path in (MADE / "wharf_client/api").glob("*/*.py") if path.name != "__init__.py"]
        self.assertEqual(len(made), expected)

    def test_client_passes_mypy(self):
        checked = run("mypy", "--strict", "--cache-dir", MADE / "cache", "wharf_client", HERE / "integration.py")
        self.assertEqual(checked.returncode, 0, checked.stdout[-3000:])

    def test_mypy_rejects_type_errors(self):
        wrong = MADE / "wrong.py"
        wrong.write_text(
            "from wharf_client.models.send_text import SendText\n"
            "from wharf_client.models.device import Device\n"
            "SendText(to='15550100001', text=5)\n"
            "def state(device: Device) -> int:\n"
            "    return device.state\n"
        )
        checked = run("mypy", "--strict", "--cache-dir", MADE / "cache", wrong)
        self.assertIn("Found 2 errors", checked.stdout)


class Used(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.device = cls.daemon.linked()
        cls.integration = importlib.import_module("integration")
        client = importlib.import_module("wharf_client").AuthenticatedClient
        cls.client = client(
            cls.daemon.url, token=cls.daemon.key, prefix="", auth_header_name="X-API-KEY", raise_on_unexpected_status=True
        )

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def test_devices_are_created_and_deleted(self):
        device = self.integration.create(self.client, "Shop")
        self.assertEqual(self.integration.rename(self.client, device, "Corner shop"), "Corner shop")
        image = until(lambda: self.integration.code(self.client, device), "a code to scan")
        self.assertTrue(image.startswith(b"\x89PNG"))
        self.assertIn(self.device, self.integration.ready(self.client))
        self.assertNotIn(device, self.integration.ready(self.client))
        self.assertTrue(self.integration.delete(self.client, device))
        self.assertNotIn(device, [device.id for device in self.integration.devices(self.client)])

    def test_message_is_sent_once_and_read(self):
        text = self.daemon.body()
        first, again = (self.integration.send(self.client, self.device, FRIEND, text, "order-1") for _ in range(2))
        self.assertEqual(first, again)
        until(lambda: self.integration.status(self.client, self.device, first).value == "read", "read")

    def test_error_answer_is_typed(self):
        self.assertEqual(self.integration.why_no_device(self.client, "nowhere"), "device_not_found")
        self.assertEqual(self.integration.wrong_fields(self.client, self.device, 1000), ["limit"])


class Examples(unittest.TestCase):
    def test_examples_match_their_schemas(self):
        document = json.loads(DOCUMENT.read_text())
        checked = 0
        for at, schema, example in self.examples(document):
            whole = schema | {"components": document["components"]}
            for error in Draft202012Validator(whole).iter_errors(example):
                self.fail(f"{at}: {error.json_path}: {error.message}")
            checked += 1
        self.assertGreater(checked, 40)

    def examples(self, document):
        for name, schema in document["components"]["schemas"].items():
            if "example" in schema:
                yield name, schema, schema["example"]
        bodies = [(f"Error {name}", answer) for name, answer in document["components"]["responses"].items()]
        for path, item in document["paths"].items():
            for verb, operation in item.items():
                at = f"{verb} {path}"
                bodies += [(at, body) for body in [operation.get("requestBody"), *operation["responses"].values()] if body]
        for at, body in bodies:
            for content in body.get("content", {}).values():
                if "example" in content:
                    yield at, content["schema"], content["example"]


if __name__ == "__main__":
    unittest.main()
