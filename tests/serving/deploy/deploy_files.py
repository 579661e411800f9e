"""The files of serving/deploy/ as the programs read them: text protos, manifests put together, PromQL."""

import copy
import pathlib

import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

ROOT = pathlib.Path(__file__).parents[3]
DEPLOY = ROOT / "serving" / "deploy"

# BatchingParameters is in no Python package: its fields, from session_bundle_config.proto of tensorflow/serving.
BATCHING = {
    "max_batch_size": ".google.protobuf.Int64Value",
    "batch_timeout_micros": ".google.protobuf.Int64Value",
    "max_enqueued_batches": ".google.protobuf.Int64Value",
    "num_batch_threads": ".google.protobuf.Int64Value",
    "thread_pool_name": ".google.protobuf.StringValue",
    "allowed_batch_sizes": None,  # repeated int64
}


def parse(path, message_class):
    """A text proto as its message; an unknown field or a wrong type raises."""
    return text_format.Parse(path.read_text(), message_class())


def batching_parameters():
    """Message class of tensorflow.serving.BatchingParameters."""
    file = descriptor_pb2.FileDescriptorProto(
        name="session_bundle_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message, kinds = file.message_type.add(name="BatchingParameters"), descriptor_pb2.FieldDescriptorProto
    for number, (name, wrapper) in enumerate(BATCHING.items(), start=1):
        if wrapper:
            message.field.add(
                name=name, number=number, label=kinds.LABEL_OPTIONAL, type=kinds.TYPE_MESSAGE, type_name=wrapper
            )
        else:
            message.field.add(name=name, number=number, label=kinds.LABEL_REPEATED, type=kinds.TYPE_INT64)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters"))


def documents(path):
    """All documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def build(folder):
    """The objects that `kubectl kustomize FOLDER` prints, for as much of kustomize as this project uses."""
    kustomization, objects = documents(folder / "kustomization.yaml")[0], []
    for name in kustomization.get("resources", []):
        path = folder / name
        objects += build(path) if path.is_dir() else documents(path)
    for generator in kustomization.get("configMapGenerator", []):
        data = {name: (folder / name).read_text() for name in generator["files"]}
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    for patch in kustomization.get("patches", []):
        if "path" in patch:
            change = documents(folder / patch["path"])[0]
            target = find(objects, change["kind"], change["metadata"]["name"])
            target.update(merged(target, change))
        else:
            target = find(objects, patch["target"]["kind"], patch["target"]["name"])
            for step in yaml.safe_load(patch["patch"]):
                add(target, step)
    return objects


def find(objects, kind, name):
    """The one object of a kind and name."""
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def merged(base, change):
    """A strategic merge: dicts merge, null deletes, lists merge by port (services), mount path or name."""
    if isinstance(base, dict) and isinstance(change, dict):
        result = copy.deepcopy(base)
        for key, value in change.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(base[key], value) if key in base else copy.deepcopy(value)
        return result
    keys = [key for key in ("port", "mountPath", "name") if isinstance(change, list) and all(key in c for c in change)]
    if not keys or not isinstance(base, list):
        return copy.deepcopy(change)
    table = {item[keys[0]]: item for item in base}
    for item in change:
        if item.get("$patch") == "delete":
            table.pop(item[keys[0]])
        else:
            table[item[keys[0]]] = merged(table.get(item[keys[0]], {}), item)
    return list(table.values())


def add(target, step):
    """A JSON patch that appends to a list."""
    assert step["op"] == "add" and step["path"].endswith("/-")
    for part in step["path"].strip("/").split("/")[:-1]:
        target = target[int(part)] if isinstance(target, list) else target[part]
    target.append(step["value"])


def container(objects):
    """The server's container."""
    (only,) = find(objects, "Deployment", "ddpm")["spec"]["template"]["spec"]["containers"]
    return only
