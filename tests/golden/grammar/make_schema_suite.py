"""Pack the official JSON-Schema-Test-Suite (MIT, in the sdist of `jsonschema`) into one file.

    pip download --no-deps --no-binary :all: jsonschema && tar xf jsonschema-*.tar.gz
    python make_schema_suite.py jsonschema-*/json > schema_suite.json

Drafts 7 and 2020-12, required tests and optional/format, with the suite's `remotes` by URI and the
meta-schemas they refer to (from the package `jsonschema-specifications`).
"""

import json
import sys
from pathlib import Path

import jsonschema_specifications

DRAFTS = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
SERVER = "http://localhost:1234/"


def groups(folder: Path) -> dict:
    """The test groups of a folder by file name."""
    return {
        file.stem: json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))
    }


def main() -> None:
    """Write the JSON."""
    root = Path(sys.argv[1])
    files = sorted((root / "remotes").rglob("*.json"))
    remotes = {
        SERVER + file.relative_to(root / "remotes").as_posix(): json.loads(file.read_text("utf-8"))
        for file in files
    }
    registry = jsonschema_specifications.REGISTRY
    for uri in registry:
        if "draft-07" in uri or "2020-12" in uri:
            remotes[uri.rstrip("#")] = registry[uri].contents
    suite = {
        draft: {
            "$schema": uri,
            "required": groups(root / "tests" / draft),
            "formats": groups(root / "tests" / draft / "optional" / "format"),
        }
        for draft, uri in DRAFTS.items()
    }
    json.dump({"remotes": remotes, "drafts": suite}, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
