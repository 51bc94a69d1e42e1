"""The stages composed: photos, one video or camera, many videos."""
