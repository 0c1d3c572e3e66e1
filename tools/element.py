"""Make headway.js, which pages load, of what stands in element/."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE = ROOT / "src" / "headway" / "web" / "static" / "headway" / "headway.js"

node = shutil.which("node", path=str(Path(sys.executable).parent)) or "node"
made = subprocess.run([node, ROOT / "element" / "build.mjs"], capture_output=True, check=True)
MADE.write_bytes(made.stdout)
