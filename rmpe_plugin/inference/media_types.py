# SPDX-License-Identifier: Apache-2.0
"""Kinds of files by their names, the same on all machines."""

from pathlib import Path

_IMAGES = """
    apng avif avifs bmp dds dib exr gif hdr heic heif hif ico j2c j2k jfif jif jp2 jpc
    jpe jpeg jpf jpg jpx jxl mpo pbm pcx pfm pgm pic pjpeg pjp png pnm ppm psd qoi ras
    sgi sr tga tif tiff webp xbm xpm
"""
_VIDEOS = """
    264 265 3g2 3gp 3gpp amv asf avi divx dv f4v flv gxf h264 h265 hevc insv ivf lrv m1v
    m2p m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mod mov mp2v mp4 mp4v mpe mpeg mpg mpv
    mts mxf nsv nut ogm ogv qt rm rmvb tod tp trp ts vob vro webm wmv wtv xvid y4m
"""
_TYPES = {suffix: 'image' for suffix in _IMAGES.split()}
_TYPES.update((suffix, 'video') for suffix in _VIDEOS.split())


def media_type(path: Path) -> str:
    """Tell the kind of a file from its name.

    Args:
        path (Path): The file.

    Returns:
        str: ``'image'``, ``'video'``, or ``''`` for other files.
    """
    return _TYPES.get(path.suffix.lower().removeprefix('.'), '')
