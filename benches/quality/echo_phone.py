"""Echo of the phone in rooms: how much of it processing takes away, and what is left of the one who talks at the same time.

    python echo_phone.py PHONE_QUALITY FOLDER

PHONE_QUALITY is the built example of `softphone`, FOLDER what `prepare.sh` made. Rooms: one recorded impulse response (a street, the only
recorded one that a Debian package carries), and rooms computed by the image-source method (Allen and Berkley 1979): a box whose walls
reflect all frequencies alike, loudspeaker and microphone 0.6 m apart. Each is scaled so that the echo is ECHO dB below what the
loudspeaker is given.

ERLE: the level of the echo at the microphone over what is left of it, without anybody near, from second SETTLED on; and once more
in the far end's speech after double talk. PESQ (wideband): what is sent during double talk against the near voice alone as the same
processing sends it without an echo, and against the near voice itself.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy
import pesq
import scipy.io.wavfile
import scipy.signal

from pesq_phone import aligned, prompt

RATE = 16000
SETTLED = 5
ECHO = {"loud": -6.0, "usual": -15.0}
PROCESSING = ["off", "echo", "echo+noise+gain"]


def recorded(folder):
    rate, taps = scipy.io.wavfile.read(folder / "usr/share/jconvolver/config-files/demo-reverbs/street2-L.wav")
    return scipy.signal.resample_poly(taps.astype(float), 1, rate // RATE)


def image_source(size, reverberation):
    """An impulse response of a box of `size` metres that is 60 dB down after so many seconds (Eyring's formula)."""
    size = numpy.array(size)
    volume, surface = size.prod(), 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    reflection = numpy.sqrt(numpy.exp(-0.161 * volume / (surface * reverberation)))
    source, microphone = size * [0.41, 0.37, 0.31], size * [0.41, 0.37, 0.31] + [0.5, 0.3, 0.15]
    length = int(reverberation * RATE)
    taps = numpy.zeros(length + 64)
    reach = numpy.ceil(343 * length / RATE / (2 * size)).astype(int)
    grid = [numpy.arange(-count, count + 1) for count in reach]
    mirror = numpy.array(numpy.meshgrid(*grid, indexing="ij")).reshape(3, -1).T
    for flip in numpy.ndindex(2, 2, 2):
        flip = numpy.array(flip)
        image = (1 - 2 * flip) * source + 2 * mirror * size
        distance = numpy.linalg.norm(image - microphone, axis=1)
        order = numpy.abs(mirror - flip).sum(axis=1) + numpy.abs(mirror).sum(axis=1)
        at = distance * RATE / 343
        near = at < length
        whole = at[near].astype(int)
        gain = reflection ** order[near] / (4 * numpy.pi * distance[near])
        numpy.add.at(taps, whole, gain * (1 - at[near] % 1))
        numpy.add.at(taps, whole + 1, gain * (at[near] % 1))
    # images have no wall that lets low frequencies out: what is below 60 Hz is no room
    return scipy.signal.sosfilt(scipy.signal.butter(2, 60, "high", fs=RATE, output="sos"), taps)


def level(samples):
    return 10 * numpy.log10(max(numpy.mean(samples.astype(float) ** 2), 1e-3))


class Phone:
    def __init__(self, tool, folder):
        self.tool, self.folder = tool, pathlib.Path(folder)

    def sends(self, parts, room, far, near):
        (self.folder / "room").write_bytes(room.astype("<f4").tobytes())
        (self.folder / "far").write_bytes(far.astype("<i2").tobytes())
        (self.folder / "near").write_bytes(near.astype("<i2").tobytes())
        files = [str(self.folder / name) for name in ("room", "far", "near")]
        done = subprocess.run([self.tool, "echo", str(RATE), parts, *files], capture_output=True, check=True)
        return numpy.frombuffer(done.stdout, "<i2")


def measure(phone, parts, room, far, near):
    """`far` is speech of 3 x the length of `near`, which is said in the middle third."""
    third = len(near)
    silence = numpy.zeros(third, "<i2")
    spoken = numpy.concatenate([silence, near, silence])
    nobody = numpy.zeros_like(spoken)
    raw = phone.sends("off", room, far, nobody)
    left = phone.sends(parts, room, far, nobody)
    both = phone.sends(parts, room, far, spoken)
    alone = phone.sends(parts, room, nobody, spoken)
    first, last = slice(SETTLED * RATE, third), slice(2 * third + RATE, None)
    middle = slice(third, 2 * third)
    during, _ = aligned(near, both[third: 2 * third + RATE // 2], RATE)
    unechoed, _ = aligned(near, alone[third: 2 * third + RATE // 2], RATE)
    return (
        level(raw[first]) - level(left[first]),
        level(raw[last]) - level(both[last]),
        level(near) - level(raw[middle]),
        pesq.pesq(RATE, unechoed, during, "wb"),
        pesq.pesq(RATE, near, during, "wb"),
        pesq.pesq(RATE, near, unechoed, "wb"),
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("tool")
    options.add_argument("folder", type=pathlib.Path)
    options = options.parse_args()
    sounds = options.folder / "usr/share/asterisk/sounds"
    near = prompt(options.tool, sounds / "en_US_f_Allison", "vm-options", RATE)[: 9 * RATE]
    far = numpy.concatenate([
        prompt(options.tool, sounds / voice, name, RATE)
        for voice in ("fr_CA_f_June", "ru_RU_f_IvrvoiceRU")
        for name in ("conf-usermenu", "vm-options", "conf-usermenu-162")
    ])[: 3 * len(near)]
    rooms = {
        "street (recorded)": recorded(options.folder),
        "booth 2 x 1.5 x 2.2 m, 0.15 s": image_source([2.0, 1.5, 2.2], 0.15),
        "office 4 x 3 x 2.7 m, 0.3 s": image_source([4.0, 3.0, 2.7], 0.3),
        "hall 10 x 7 x 3 m, 0.5 s": image_source([10.0, 7.0, 3.0], 0.5),
    }
    print(f"{'room':<31}{'echo':>6} {'processing':<16}{'ERLE':>6}{'after':>7}{'near/echo':>10}"
          f"{'PESQ: both/near processed':>27}{'both/near':>10}{'near processed/near':>20}")
    with tempfile.TemporaryDirectory() as folder:
        phone = Phone(options.tool, folder)
        for name, taps in rooms.items():
            for loudness, db in ECHO.items():
                echo = scipy.signal.fftconvolve(far.astype(float), taps)
                scaled = taps * 10 ** ((level(far) + db - level(echo[: len(far)])) / 20)
                for parts in PROCESSING:
                    erle, after, ratio, fair, raw, alone = measure(phone, parts, scaled, far, near)
                    print(f"{name:<31}{db:6.0f} {parts:<16}{erle:6.1f}{after:7.1f}{ratio:10.1f}"
                          f"{fair:27.2f}{raw:10.2f}{alone:20.2f}", flush=True)


if __name__ == "__main__":
    main()
