"""Files of every format, made byte for byte as the cameras and archives write them.

Frames are given as arrays; what comes back is the content of one file. `compressed` wraps it as .gz or .bz2.
"""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
Frames = Sequence[Pixels]


def frames(count: int, height: int = 24, width: int = 24, *, seed: int = 0, top: int = 60000) -> list[Pixels]:
    """Give frames of uint16 noise, each its own."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, top, (height, width), dtype=np.uint16) for _ in range(count)]


def compressed(data: bytes, how: Literal["gz", "bz2"]) -> bytes:
    """Give the same bytes as gzip (with a fixed time stamp) or bzip2."""
    return gzip.compress(data, 6, mtime=0) if how == "gz" else bz2.compress(data)


# PGM stacks of the University of Calgary: the first image carries the long header, the others the short one.


def themis_minute(
    pictures: Frames, start: datetime, *, site: str = "gill", imager: str = "themis19", cadence: float = 3.0
) -> bytes:
    """Give an unpacked THEMIS `..._full.pgm.gz`."""
    first = f"""\
#"Revised" 2006-05-22
#"Project unique ID" themis-gbo
#"Site unique ID" {site}
#"Imager unique ID" {imager}
#"Imager model" starlight Xpress MX716 with THEMIS all-sky optics
#"Imager comment" Custom Helicopters
#"Ccd type" Sony ICX249AL
#"Ccd xsize" 752 pixels
#"Ccd ysize" 290 pixels
#"Ccd background" 3300
#"Pixel depth" 16 bits
#"Pixel aspect ratio" 0.5181
#"Optical type" THEMIS all-sky
#"Optical projection" a1=1.5,a3=0.0,b2=0.0,b4=0.0
#"Optical center" x0=382,y0=150
#"Computer name" {site} i686
#"Operating system" Linux 2.4.37.11 #1 Tue Oct 30 01:49:12 UTC 2012
#"Project unique ID" THEMIS
#"Site unique ID" {site}
#"Site name" Gillam
#"Geodetic latitude" 56.3539
#"Geodetic Longitude" -94.6557
#"Geodetic altitude" 0.0
"""

    def each(index: int, time: datetime) -> str:
        return f"""\
#"Mode unique ID" full
#"Mode sequence number" {2027380 + index}
#"CCD device" /dev/ccdA
#"Exposure options" WIDTH=512 HEIGHT=256 XBIN=2 YBIN=1 XOFFSET=126 YOFFSET=22 MSEC=999
#"Image request start" {_stamp(time)}
#"Image readout start" {_stamp(time + timedelta(seconds=0.985))}
#"Exposure plus initial readout"    985.07 ms
"""

    return _calgary_stack(pictures, start, cadence, first, each)


def rainbow_minute(
    pictures: Frames, start: datetime, *, site: str = "rabb", imager: str = "rainbow-08", cadence: float = 6.0
) -> bytes:
    """Give an unpacked Rainbow `..._full.pgm.gz`: anamorphic, its aspect in the first header only."""
    first = f"""\
#"Imager unique ID" {imager}
#"Imager information revised" 2006-10-11
#"Imager model" starlight Xpress SXVF-M7C
#"Imager comment" Norstar colour imager
#"Ccd type" Sony ICX429AKL
#"Ccd xsize" 752 pixels
#"Ccd ysize" 290 pixels
#"Ccd background" 0
#"Pixel depth" 16 bits
#"Pixel aspect ratio" 0.5122
#"Optical type" THEMIS all-sky
#"Optical projection" a1=1.5,a3=0.0,b2=0.0,b4=0.0
#"Optical center" x0=360,y0=130
#"Expose PGM" /usr/local/bin/imager_expose_pgm
#"Computer name" siteinstrument i686
#"Operating system" Linux 2.6.27.5-117.fc10.i686.PAE #1 SMP Tue Nov 18 12:08:10 EST 2008
#"Project unique ID" norstar
#"Site unique ID" {site}
#"Site name" Rabbit Lake
#"Geodetic latitude" 58.17
#"Geodetic Longitude" -103.66
#"Geodetic altitude" 0.0
"""

    def each(index: int, time: datetime) -> str:
        return f"""\
#"Mode unique ID" full
#"Mode sequence number" {393605 + index}
#"Optical center" x0=360,y0=130
#"NTP Delay" 0.0014650000000000002\x20
#"NTP Offset" 0.000722
#"NTP Jitter" 0.002098
#"CCD device" /dev/ccdA
#"Exposure options" WIDTH=512 HEIGHT=256 XBIN=1 YBIN=1 XOFFSET=104 YOFFSET=2 MSEC=5000
#"Image request start" {_stamp(time)}
#"Image readout start" {_stamp(time + timedelta(seconds=5.025))}
#"Exposure plus initial readout"   5025.37 ms
"""

    return _calgary_stack(pictures, start, cadence, first, each)


def nir_minute(
    pictures: Frames, start: datetime, *, site: str = "gill", imager: str = "nir-216", cadence: float = 6.0
) -> bytes:
    """Give an unpacked TREx near-infrared `..._8446.pgm.gz`: the mode is the wavelength, lines end in blanks."""
    first = f"""\
#"Project unique ID" trex
#"Site unique ID" {site}
#"Imager unique ID" {imager}
#"Mode unique ID" 8446
#"Geographic latitude" 56.376723
#"Geographic longitude" -94.643664
#"Camera Model" Andor DZ936N-#FI-9972
#"Camera Serial Number" 23216
#"Lens Serial Number" 5180000594
#"Filter Serial Number"\x20
#"CCD type" Andor E2V CCD42-40
#"CCD xsize" 2048 pixels
#"CCD ysize" 2048 pixels
#"Pixel depth" 16 bits
#"CCD xbinned" 8
#"CCD ybinned" 8
#"VSSpeed index" 0
#"VS Amplitude index" 0
#"VS Amplitude" 0
#"High Capacity Toggle" 0
#"Requested Pre Amp gain" 4.0
#"Current HS Speed" 3.0 MHz
#"Requested Exposure" 5
#"Conf file set CCD temperature" -65 (+- 5C)
#"Computer name" {site}-nir
#"Operating System" Linux 3.10.0-957.21.3.el7.x86_64 #1 SMP Tue Jun 18 16:35:19 UTC 2019
#"NTP target" 127.127.20.0
#"NTP delay" 0.000
#"NTP offset" 5.470
#"NTP jitter" 5.507
"""

    def each(index: int, time: datetime) -> str:
        return f"""\
#"Mode sequence number" {2789 + index}\x20
#"VSSpeed" 38.549999\x20
#"Current CCD temperature" -64C\x20
#"Last Known Shutter State" AUTO\x20
#"Digitemp Camera" 20.56 C\x20
#"Bright Light Status" DARK (550)\x20
#"Exposure Options" WIDTH=256 HEIGHT=256 XBIN=8 YBIN=8 MSEC=5000.00\x20
#"Image request start" {_stamp(time)}\x20
#"Image readout start" {_stamp(time + timedelta(seconds=5))}\x20
#"Exposure plus readout" 5001.0000 ms\x20
#
#
"""

    return _calgary_stack(pictures, start, cadence, first, each)


def blueline_minute(
    pictures: Frames, start: datetime, *, site: str = "gill", imager: str = "blue-814", cadence: float = 3.0
) -> bytes:
    """Give an unpacked TREx blueline `..._full.pgm.gz`."""
    first = f"""\
#"Project unique ID" trex
#"Site unique ID" {site}
#"Imager unique ID" {imager}
#"Mode unique ID" full
#"Geographic latitude" 56.376723
#"Geographic longitude" -94.643664
#"Camera model" Andor Zyla 5.5
#"Camera serial sumber" VSC-09814
#"Optics serial number" prototype
#"CCD type" CMOS
#"CCD xsize" 2560 pixels
#"CCD ysize" 2160 pixels
#"Pixel depth" 16 bits
#"CCD xbinned" 8
#"CCD ybinned" 8
#"Readout rate" 280 MHz
#"Pre-amp gain" 16-bit (low noise & high well capacity)
#"Spurious noise filter" True
#"Static blemish correction" True
#"Computer name" {site}-blue
#"Operating System" Linux 3.10.0-1160.49.1.el7.x86_64 #1 SMP Tue Nov 30 15:51:32 UTC 2021
#"NTP target" 127.127.20.0
#"NTP delay" 0.000
#"NTP offset" -20.418
#"NTP jitter" 23.046
"""

    def each(index: int, time: datetime) -> str:
        return f"""\
#"Mode sequence number" {5519 + index}
#"Current CCD temperature" -0.4400 C
#"Digitemp camera" 23.12 C
#"Bright light status" DARK (550)
#"Mode UID" full
#"Shutter state" no shutter installed
#"Exposure options" WIDTH=2560 HEIGHT=2160 XBIN=8 YBIN=8 MSEC=2989.52
#"Image request start" {_stamp(time)}
#"Image readout start" {_stamp(time + timedelta(seconds=2.99))}
#"Exposure plus readout" 2999.5000 ms
"""

    return _calgary_stack(pictures, start, cadence, first, each)


def pgm(picture: Pixels, comments: str = "") -> bytes:
    """Give one P5 image: 8 bits for uint8, else 16 bits big-endian."""
    height, width = picture.shape
    deep = picture.dtype.itemsize == 2
    header = f"P5\n{comments}{width} {height}\n{65535 if deep else 255}\n"
    return header.encode() + picture.astype(">u2" if deep else np.uint8).tobytes()


def _calgary_stack(
    pictures: Frames, start: datetime, cadence: float, first: str, each: Callable[[int, datetime], str]
) -> bytes:
    times = [start + timedelta(seconds=cadence * index) for index in range(len(pictures))]
    comments = [(first if index == 0 else "") + each(index, time) for index, time in enumerate(times)]
    return b"".join(pgm(picture, comment) for picture, comment in zip(pictures, comments, strict=True))


def _stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S.%f} UTC"


# Pictures


def png(
    picture: Pixels, *, texts: Mapping[str, str] | None = None, exif: bytes = b"", interlaced: bool = False
) -> bytes:
    """Give a PNG of uint8 or uint16: (H,W), (H,W,2) grey with alpha, (H,W,3) or (H,W,4); with tEXt and eXIf chunks."""
    import png as pypng

    height, width, *rest = picture.shape
    channels = rest[0] if rest else 1
    out = io.BytesIO()
    writer = pypng.Writer(
        width,
        height,
        greyscale=channels < 3,
        alpha=channels in (2, 4),
        bitdepth=8 * picture.dtype.itemsize,
        interlace=interlaced,
    )
    rows = picture.reshape(height, width * channels)
    if interlaced:
        writer.write_array(out, rows.reshape(-1).tolist())
    else:
        writer.write(out, rows.tolist())
    return _with_chunks(out.getvalue(), texts or {}, exif)


def _with_chunks(data: bytes, texts: Mapping[str, str], exif: bytes) -> bytes:
    """Put chunks behind IHDR, where NASCAM has its texts."""
    chunks = [(b"tEXt", f"{key}\0{value}".encode("latin-1")) for key, value in texts.items()]
    if exif:
        chunks.append((b"eXIf", exif))
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + extra + data[33:]


def exif(date: str, *, subsecond: str = "", offset: str = "", order: Literal["<", ">"] = "<") -> bytes:
    """Give an EXIF block (a TIFF without picture) with DateTimeOriginal and its companions."""
    texts = {0x9003: date, 0x9011: offset, 0x9291: subsecond}
    entries = {tag: text.encode() + b"\0" for tag, text in texts.items() if text}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    pointer = struct.pack(f"{order}HHHIII", 1, 0x8769, 4, 1, 26, 0)
    values_at = 26 + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, text in sorted(entries.items()):
        at_hand = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack(f"{order}I", values_at + len(values))
        directory += struct.pack(f"{order}HHI", tag, 2, len(text)) + at_hand
        values += text if len(text) > 4 else b""
    return head + pointer + directory + struct.pack(f"{order}I", 0) + values


def jpeg(picture: Pixels, *, exif_block: bytes = b"") -> bytes:
    """Give a JPEG of uint8 (H,W) or (H,W,3), quality 95."""
    from PIL import Image

    out = io.BytesIO()
    extra = {"exif": b"Exif\0\0" + exif_block} if exif_block else {}
    Image.fromarray(picture).save(out, "JPEG", quality=95, **extra)
    return out.getvalue()


def tiff(
    pages: Frames,
    *,
    order: Literal["<", ">"] = "<",
    deflated: bool = False,
    planar: bool = False,
    thumbnail: bool = False,
) -> bytes:
    """Give a baseline TIFF with one strip a page, of (H,W) or (H,W,C) pages; `thumbnail` marks the first as one."""
    out = bytearray(b"II*\0" if order == "<" else b"MM\0*")
    link_at = len(out)
    out += b"\0\0\0\0"
    for number, page in enumerate(pages):
        height, width, *rest = page.shape
        channels = rest[0] if rest else 1
        values = page.astype(page.dtype.newbyteorder(order))
        planes = [values[..., c] for c in range(channels)] if planar else [values]
        strips = [zlib.compress(plane.tobytes()) if deflated else plane.tobytes() for plane in planes]
        at = []
        for strip in strips:
            at.append(len(out))
            out += strip + b"\0" * (len(strip) % 2)
        tags: dict[int, tuple[str, list[int]]] = {
            254: ("I", [1 if thumbnail and number == 0 else 0]),
            256: ("I", [width]),
            257: ("I", [height]),
            258: ("H", [8 * page.dtype.itemsize] * channels),
            259: ("H", [8 if deflated else 1]),
            262: ("H", [2 if channels >= 3 else 1]),
            273: ("I", at),
            277: ("H", [channels]),
            278: ("I", [height]),
            279: ("I", [len(strip) for strip in strips]),
            284: ("H", [2 if planar else 1]),
            339: ("H", [3 if page.dtype.kind == "f" else 1] * channels),
        }
        if channels == 4:
            tags[338] = ("H", [2])
        out[link_at : link_at + 4] = struct.pack(f"{order}I", len(out))
        values_at = len(out) + 2 + 12 * len(tags) + 4
        directory, tail = struct.pack(f"{order}H", len(tags)), b""
        for tag, (kind, numbers) in sorted(tags.items()):
            body = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
            field = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(f"{order}I", values_at + len(tail))
            directory += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(numbers)) + field
            tail += body if len(body) > 4 else b""
        link_at = len(out) + len(directory)
        out += directory + b"\0\0\0\0" + tail
        out += b"\0" * (len(out) % 2)
    return bytes(out)


# Tar archives of pictures


def tar(members: Mapping[str, bytes], *, pax: bool = False) -> bytes:
    """Give a tar with these members, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if pax:
                member.pax_headers = {"mtime": "1598129256.123"}
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def nascam_texts(time: datetime, wavelength: str = "427.8 nm, Narrowband, BW = 3.0 nm") -> dict[str, str]:
    """Give the text chunks of a NASCAM picture."""
    return {
        "Title": "NORSTAR All-Sky Image",
        "Author": "Polaris H-Beta-Class Imager",
        "Wavelength": wavelength,
        "Description": (
            "\nIMAGER Polaris . TYPE All-sky . CLASS H-Beta . PROJECT NORSTAR ...............\n"
            f"EXPOSURE_AT {time:%a %b %d %H:%M:%S} UTC {time:%Y} . DAYNO {time:%j} . FILTER_NO 2 ...........\n"
        ),
        "Creation Time": f"{time:%d %b %Y %H:%M:%S} GMT",
    }


def nascam_minute(pictures: Frames, start: datetime, *, cadence: float = 5.0) -> bytes:
    """Give a NASCAM `....png.tar`: 16-bit grey pictures that say in their texts when they were taken."""
    members = {}
    for index, picture in enumerate(pictures):
        time = start + timedelta(seconds=cadence * index)
        name = f"{time:%Y%m%d_%H%M%S}_gill_nascam-iccd02_4278_002000ms.png"
        members[name] = png(picture, texts=nascam_texts(time))
    return tar(members, pax=True)


def trex_rgb_tar(pictures: Frames, start: datetime, *, cadence: float = 3.0) -> bytes:
    """Give a TREx RGB `....png.tar`: 8-bit colour pictures, dated by their names."""
    times = [start + timedelta(seconds=cadence * index) for index in range(len(pictures))]
    return tar(
        {
            f"{time:%Y%m%d_%H%M%S_%f}_gill_rgb-04_320ms_full.png": png(picture)
            for time, picture in zip(times, pictures, strict=True)
        }
    )


# FITS, HDF5, CDF, img


def fits(pixels: Pixels, cards: Mapping[str, Any], *, tiles: bool = False) -> bytes:
    """Give a FITS of one image with these header cards; uint16 is stored with BZERO, `tiles` compresses it (.fz)."""
    from astropy.io import fits as astropy_fits

    unit = astropy_fits.CompImageHDU(pixels) if tiles else astropy_fits.PrimaryHDU(pixels)
    for key, value in cards.items():
        unit.header[key] = value
    units = [astropy_fits.PrimaryHDU(), unit] if tiles else [unit]
    out = io.BytesIO()
    astropy_fits.HDUList(units).writeto(out)
    return out.getvalue()


def dasc_fits(picture: Pixels, start: datetime) -> bytes:
    """Give a FITS of the Poker Flat digital all-sky camera: signed 16 bits, the time split over two cards."""
    cards = {
        "SITE": "PKR",
        "GLAT": 65.126,
        "GLON": -147.479,
        "OBSDATE": f"{start:%Y-%m-%d}",
        "OBSSTART": f"{start:%H:%M:%S.%f}"[:-3],
        "EXPTIME": 1.0,
        "FILTWAV": "0558",
    }
    return fits(picture.astype(np.int16), cards)


def lowell_fits(picture: Pixels, start: datetime) -> bytes:
    """Give an unpacked FITS of the Lowell all-sky camera: unsigned 16 bits, DATE-OBS with milliseconds."""
    cards = {
        "DATE-OBS": start.isoformat(timespec="milliseconds").removesuffix("+00:00"),
        "UTSTART": f"{start:%H:%M:%S.%f}"[:-3],
        "EXPTIME": 60.0,
        "OBSERVAT": "Lowell Observatory",
        "INSTRUME": "DCT_ALLSKY",
    }
    return fits(picture.astype(np.uint16), cards)


def trex_rgb_minute(
    pictures: Frames,
    start: datetime,
    *,
    site: str = "gill",
    imager: str = "rgb-04",
    cadence: float = 3.0,
    packed: bool = True,
) -> bytes:
    """Give a TREx RGB `..._full.h5` of (H,W,3) uint8 pictures (or a grey one of (H,W))."""
    import h5py

    times = [start + timedelta(seconds=cadence * index) for index in range(len(pictures))]
    stack = np.stack(pictures, axis=-1)
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        data = file.create_group("data")
        data.create_dataset("images", data=stack, **({"compression": "gzip", "compression_opts": 1} if packed else {}))
        data.create_dataset("timestamp", data=np.array([_stamp(time).encode() for time in times]))
        facts = file.create_group("metadata/file").attrs
        facts["project_unique_id"] = "trex"
        facts["site_unique_id"] = site
        facts["imager_unique_id"] = imager
        for index, time in enumerate(times):
            frame = file.create_group(f"metadata/frame/frame{index}").attrs
            frame["image_request_start_timestamp"] = _stamp(time)
            frame["mode_unique_id"] = "full"
    return out.getvalue()


def themis_cdf(
    pictures: Frames,
    start: datetime,
    *,
    site: str = "gako",
    cadence: float = 3.0,
    encoding: Literal[1, 6] = 1,  # big-endian as the real ones, or little-endian
    majority: Literal["row_major", "column_major"] = "row_major",
    packed: int = 6,
    block: int = 7,
) -> bytes:
    """Give a `thg_l1_asf_SITE_....cdf` of NASA: frames and times in gzipped blocks of records."""
    from cdflib.cdfwrite import CDF

    seconds = np.array([start.timestamp() + cadence * index for index in range(len(pictures))])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.cdf"
        with CDF(path, cdf_spec={"Majority": majority, "Encoding": encoding}) as file:
            _write_variable(file, f"thg_asf_{site}", 12, np.stack(pictures), packed, block)
            _write_variable(file, f"thg_asf_{site}_time", 22, seconds, packed, len(pictures))
            _write_variable(file, "range_epoch", 31, seconds[[0, -1]] * 1000 + 62167219200000, 0, 2)
        return path.read_bytes()


def _write_variable(file: Any, name: str, data_type: int, values: Pixels, packed: int, block: int) -> None:
    spec = {
        "Variable": name,
        "Data_Type": data_type,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(values.shape[1:]),
        "Compress": packed,
        "Block_Factor": block,
    }
    file.write_var(spec, var_data=values)


def kho_img(picture: Pixels) -> bytes:
    """Give a Keo Sentry `.img` of the Kjell Henriksen Observatory, with its 21 bytes behind the counts."""
    height, width = picture.shape
    head = b"$Spextube IV image file generation -1".ljust(48, b"\0") + bytes.fromhex("d8443100a86b2a00ec6c2a00")
    return head + struct.pack("<HHH", width, height, 2) + picture.astype("<u2").tobytes() + bytes(21)
