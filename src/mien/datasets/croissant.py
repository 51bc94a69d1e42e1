"""A prepared dataset in Croissant, the JSON-LD vocabulary of MLCommons for datasets, version 1.0.

Source:
    Akhtar et al.: Croissant: A Metadata Format for ML-Ready Datasets, DEEM 2024; mlcommons.org/croissant/1.0.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mien.dataset_terms import DATASET_TERMS
from mien.datasets.arrow import read_schema
from mien.datasets.prepared_file import read_prepared_info
from mien.files import write_text
from mien.models.file_cache import file_sha256

SPECIFICATION = "http://mlcommons.org/croissant/1.0"
_FILE, _RECORDS = "parquet-file", "images"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {"image": "sc:ImageObject", "split": "sc:Text", "gender": "sc:Text", "race": "sc:Text", "found": "sc:Boolean"}
"""Column → type; whole numbers where a column is not named, floats in features."""
_TEXTS = {
    "image": "the face, losslessly encoded (PNG or WebP)",
    "split": "train, validation or test",
    "row": "row in the source",
    "emotion": "index into the labels of the taxonomy",
    "votes": "votes of the raters for each label",
    "age": "index into the age ranges",
    "found": "whether the detector found the face",
}


def write_croissant(prepared: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Describe a prepared file in Croissant; the description names the file as lying beside it.

    Args:
        prepared: the file, as `mien data prepare` writes it.
        path: the ``.json`` file to write.

    Raises:
        MissingFileError: no such file.
        DataError: it is not a prepared file.
        OutputError: the description cannot be written.
    """
    return write_text(path, json.dumps(croissant(Path(prepared)), indent=2, ensure_ascii=False) + "\n")


def croissant(prepared: Path) -> dict[str, Any]:
    """The description of a prepared file, JSON-ready; errors as those of `write_croissant`."""
    info = read_prepared_info(prepared)
    columns = read_schema(prepared)
    # a dataset that Mien knows no terms of keeps its own
    terms = DATASET_TERMS.get(info["name"])
    notes = [*info["notes"], *(f"left out: {row['reason']} ({row['count']})" for row in info["dropped"])]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": SPECIFICATION,
        "name": info["name"],
        "description": "; ".join([info["source"] or info["name"], *notes]),
        "license": terms.licence if terms else "as the source states",
        "version": f"{info['version']}.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": _FILE,
                "name": _FILE,
                "contentUrl": prepared.name,
                "encodingFormat": "application/x-parquet",
                "sha256": file_sha256(prepared),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _RECORDS,
                "name": _RECORDS,
                "field": [_field(column, str(columns.field(column).type)) for column in columns.names],
            }
        ],
    }


def _field(column: str, kind: str) -> dict[str, Any]:
    number = "sc:Float" if "float" in kind else "sc:Integer"
    field = {
        "@type": "cr:Field",
        "@id": f"{_RECORDS}/{column}",
        "name": column,
        "description": _TEXTS.get(column, f"column {column}"),
        "dataType": _TYPES.get(column, number),
        "source": {"fileObject": {"@id": _FILE}, "extract": {"column": column}},
    }
    return field | ({"repeated": True} if "list" in kind else {})
