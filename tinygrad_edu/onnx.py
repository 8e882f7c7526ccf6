"""`torch.onnx`, which programs import that can export their models: exporting is refused."""

__all__ = ["export", "is_in_onnx_export"]


def export(model, *args, **kwargs):
    """Refused with NotImplementedError"""
    raise NotImplementedError(f"onnx.export({type(model).__name__}): models are not exported from here; save the state_dict as .safetensors, "
                              "load it into the same model in PyTorch, and export that")  # fmt: skip


def is_in_onnx_export():
    """False: nothing is being exported"""
    return False
