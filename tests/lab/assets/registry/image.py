#!/usr/bin/env python3
"""Writes one image straight into the file system storage of a docker-registry: faster than pushing it, and layers that
images share are there once. Equal input gives equal digests.

Layers are not compressed: reading and unpacking them is what tests wait for, on five nodes that share two cores."""
import argparse
import hashlib
import json
import os
import sys
import tarfile

CREATED = "2025-06-17T00:00:00Z"
OCI = "application/vnd.oci.image."


class Store:
    def __init__(self, root, repository):
        self.blobs = os.path.join(root, "docker/registry/v2/blobs/sha256")
        self.repository = os.path.join(root, "docker/registry/v2/repositories", repository)

    def add_file(self, path):
        """Moves a file in under its digest; returns its descriptor's digest and size."""
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else sha256(file)
        size = os.path.getsize(path)
        folder = os.path.join(self.blobs, digest[:2], digest)
        os.makedirs(folder, exist_ok=True)
        os.replace(path, os.path.join(folder, "data"))
        return digest, size

    def add_bytes(self, content):
        os.makedirs(self.blobs, exist_ok=True)
        path = os.path.join(self.blobs, "new")
        with open(path, "wb") as file:
            file.write(content)
        return self.add_file(path)

    def link(self, folder, digest):
        folder = os.path.join(self.repository, folder)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "link"), "w") as file:
            file.write("sha256:" + digest)


def sha256(file):
    total = hashlib.sha256()
    while block := file.read(1 << 20):
        total.update(block)
    return total.hexdigest()


def neutral(info):
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def tar_of_folder(tar, folder):
    for here, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(here, name)
            tar.inodes.clear()  # no hard links: each file stands for itself
            tar.add(path, os.path.relpath(path, folder), recursive=False, filter=neutral)


def tar_of_files(tar, files):
    made = set()
    for pair in files:
        source, target = pair.split("=", 1)
        parts = target.strip("/").split("/")
        for depth in range(1, len(parts)):
            name = "/".join(parts[:depth])
            if name not in made:
                made.add(name)
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        tar.inodes.clear()
        info = neutral(tar.gettarinfo(source, "/".join(parts)))
        info.mode = 0o755
        with open(source, "rb") as file:
            tar.addfile(info, file)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("store")
    p.add_argument("image", help="NAME:TAG")
    p.add_argument("--base", action="append", default=[], help="folder that becomes a layer")
    p.add_argument("--entrypoint", default=[], type=str.split)
    p.add_argument("--cmd", default=[], type=str.split)
    p.add_argument("--user", default="")
    p.add_argument("files", nargs="*", help="SOURCE=TARGET, together the topmost layer")
    a = p.parse_intermixed_args()
    repository, tag = a.image.rsplit(":", 1)
    store = Store(a.store, repository)
    os.makedirs(store.blobs, exist_ok=True)

    layers = []
    for fill, content in [(tar_of_folder, b) for b in a.base] + [(tar_of_files, a.files)] * bool(a.files):
        path = os.path.join(store.blobs, "new")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            fill(tar, content)
        layers.append(store.add_file(path))

    config = {"architecture": "amd64", "os": "linux", "created": CREATED, "config": {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": a.entrypoint or None, "Cmd": a.cmd or None, "User": a.user, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d, _ in layers]},
        "history": [{"created": CREATED} for _ in layers]}
    config_digest, config_size = store.add_bytes(json.dumps(config).encode())

    def descriptor(kind, digest, size):
        return {"mediaType": OCI + kind, "digest": "sha256:" + digest, "size": size}

    manifest, _ = store.add_bytes(json.dumps({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": descriptor("config.v1+json", config_digest, config_size),
        "layers": [descriptor("layer.v1.tar", *layer) for layer in layers]}).encode())
    for digest in [config_digest] + [d for d, _ in layers]:
        store.link("_layers/sha256/" + digest, digest)
    store.link("_manifests/revisions/sha256/" + manifest, manifest)
    store.link(f"_manifests/tags/{tag}/current", manifest)
    store.link(f"_manifests/tags/{tag}/index/sha256/{manifest}", manifest)
    print(f"{a.image} sha256:{manifest}")


main()
