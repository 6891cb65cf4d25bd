"""A shell, or a command, with a cluster beside it: with_cluster.py [COMMAND [ARGUMENT]...]

The cluster is a real control plane (build_control_plane) and a node that is played. KUBECONFIG and
SHADOWD_CLUSTER (the API server's URL) say where it is, SHADOWD_CLUSTER_DIR has its logs. It has a
network of its own, and ends with the command, whose exit status this has.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from control_plane import ControlPlane, enter_own_network, need_programs, spawn


def main():
    need_programs()
    enter_own_network()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="shadow-cluster-"))
    cluster = ControlPlane(directory)
    try:
        cluster.start()
        player = spawn([sys.executable, "-B", pathlib.Path(__file__).with_name("node_player.py"),
                        cluster.port, cluster.ca_file, cluster.admin_token, directory, "10.1.0.1"],
                       directory / "player.log")
        command = sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]
        status = subprocess.run(command, check=False, env={
            **os.environ, "KUBECONFIG": str(directory / "kubeconfig"),
            "SHADOWD_CLUSTER": cluster.url, "SHADOWD_CLUSTER_DIR": str(directory)}).returncode
        player.terminate()
        player.wait()
        return status
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
