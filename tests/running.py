"""Run a program in a process of its own; when it fails, the test says what it wrote."""

import subprocess
import sys


def run_python(program, *arguments, flags=(), cwd=None, timeout=100):
    """Run Python code with arguments, and give what it printed."""
    command = [sys.executable, *flags, "-c", program, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            printed, complaint = child.communicate(timeout=timeout)
            ended = f"ended with {child.returncode}" if child.returncode else None
        except subprocess.TimeoutExpired:
            child.kill()
            printed, complaint = child.communicate()
            ended = f"did not end in {timeout} s"
    if ended:
        raise AssertionError(f"the program {ended}; it wrote\n{printed}{complaint}")
    return printed
