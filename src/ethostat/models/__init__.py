"""Models: doors to what answers prompts.

base         the Model protocol, Decoding
function     FunctionModel: a Python function
http         HTTPModel: an OpenAI-compatible server (keys, wire, faults, concurrency are its parts)
local        LocalModel: a GGUF file in this process (weights: where the files are)
simulated    SimulatedModel: a model whose entropy at every time is known
transformers TransformersModel: a Hugging Face model in this process
catalog      open_model, names_model, list_models: what a user can type as MODEL
"""

from ethostat.models.catalog import CatalogRow, list_models, names_model, open_model

__all__ = ["CatalogRow", "list_models", "names_model", "open_model"]
