"""PESQ of the phone from microphone to loudspeaker (ITU-T P.862 and P.862.2), with processing off and on.

    python pesq_phone.py PHONE_QUALITY FOLDER [--prompts NAME,NAME] [--ppm N]

PHONE_QUALITY is the built example of `softphone`, FOLDER what `prepare.sh` made. Narrowband references are the prompts of 8 kHz,
wideband ones those of 16 kHz, which come as G.722. A prompt is said after half a second of silence; what is heard is compared with the prompt
itself, brought to its place by the delay that fits best.
"""

import argparse
import pathlib
import subprocess
import wave

import numpy
import pesq
import scipy.signal

SECONDS = 16
QUIET = 0.5
PROCESSING = ["off", "echo", "noise", "gain", "echo+noise+gain"]


def prompt(tool, folder, name, rate):
    if rate == 16000:
        octets = (folder / f"{name}.g722").read_bytes()[: SECONDS * 8000]
        done = subprocess.run([tool, "decode"], input=octets, capture_output=True, check=True)
        return numpy.frombuffer(done.stdout, "<i2")
    with wave.open(str(folder / f"{name}.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        return numpy.frombuffer(sound.readframes(SECONDS * 8000), "<i2")


def aligned(reference, heard, rate):
    match = scipy.signal.correlate(heard.astype(float), reference.astype(float), "full", method="fft")
    delay = int(numpy.argmax(match)) - len(reference) + 1
    heard = heard[max(delay, 0):]
    return heard[: len(reference)], 1000 * delay / rate


def score(tool, reference, codec, rate, carrier, ppm, parts):
    """`reference` is at `rate` of PESQ, the phone works at `carrier`."""
    quiet = numpy.zeros(int(QUIET * rate), "<i2")
    plain = said = numpy.concatenate([quiet, reference])
    if carrier != rate:
        said = scipy.signal.resample_poly(said.astype(float), carrier // rate, 1)
        said = numpy.clip(numpy.rint(said), -32768, 32767).astype("<i2")
    command = [tool, "call", codec, str(carrier), str(ppm), parts]
    done = subprocess.run(command, input=said.tobytes(), capture_output=True, check=True)
    heard = numpy.frombuffer(done.stdout, "<i2")
    if carrier != rate:
        heard = scipy.signal.resample_poly(heard.astype(float), 1, carrier // rate)
        heard = numpy.clip(numpy.rint(heard), -32768, 32767).astype("<i2")
    heard, delay = aligned(plain, heard, rate)
    start = len(quiet)
    mode = "wb" if rate == 16000 else "nb"
    return pesq.pesq(rate, plain[start:], heard[start:], mode), delay


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("tool")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--prompts", default="vm-options,conf-usermenu")
    options.add_argument("--ppm", default="0")
    options.add_argument("--processing", default=",".join(PROCESSING))
    options = options.parse_args()
    voices = sorted((options.folder / "usr/share/asterisk/sounds").iterdir())
    voices = [voice for voice in voices if voice.is_dir()]
    rows = [("pcmu", 8000, 8000), ("pcmu", 8000, 48000), ("opus", 16000, 16000), ("opus", 16000, 48000), ("g722", 16000, 16000)]
    print(f"{'codec':<6}{'PESQ':<5}{'phone':>7}{'ppm':>5} {'processing':<16} {'mean':>6} {'least':>6}  " + " ".join(v.name for v in voices))
    for codec, rate, carrier in rows:
        for ppm in options.ppm.split(","):
            for parts in options.processing.split(","):
                means, least = [], 5.0
                for voice in voices:
                    scores = [
                        score(options.tool, prompt(options.tool, voice, name, rate), codec, rate, carrier, ppm, parts)[0]
                        for name in options.prompts.split(",")
                    ]
                    means.append(numpy.mean(scores))
                    least = min(least, *scores)
                mode = "wb" if rate == 16000 else "nb"
                print(f"{codec:<6}{mode:<5}{carrier:>7}{ppm:>5} {parts:<16} {numpy.mean(means):6.3f} {least:6.3f}  "
                      + " ".join(f"{mean:.3f}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
