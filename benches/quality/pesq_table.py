"""PESQ (ITU-T P.862, narrowband) of concealment: the jitter buffer against repeat-and-fade and silence.

    python pesq_table.py CONCEAL SOUNDS [--prompt NAME] [--seeds N] [--loss P,P] [--jitter MS] [--modes M,M]

CONCEAL is the built example `conceal` of the crate `media`; SOUNDS a folder with one folder per voice, each holding prompts
as WAV files of 8 kHz, 16 bits, mono (the Debian packages asterisk-core-sounds-{en,fr,ru}-wav, unpacked with `dpkg -x`).
Needs the packages `pesq` and `numpy`. The reference is the prompt itself; every mode carries it as G.711, and the same seed
loses the same packets in each.
"""

import argparse
import pathlib
import subprocess
import wave

import numpy
import pesq

RATE = 8000
LONGEST_SECONDS = 16


def prompt(folder, name):
    with wave.open(str(folder / f"{name}.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        samples = numpy.frombuffer(sound.readframes(LONGEST_SECONDS * RATE), "<i2")
    return samples[: len(samples) // 160 * 160]


def score(conceal, sound, mode, loss, jitter, seed):
    command = [conceal, mode, str(loss), str(jitter), str(seed)]
    done = subprocess.run(command, input=sound.tobytes(), capture_output=True, check=True)
    heard = numpy.frombuffer(done.stdout, "<i2")
    return pesq.pesq(RATE, sound, heard, "nb")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("conceal")
    options.add_argument("sounds", type=pathlib.Path)
    options.add_argument("--prompt", default="vm-options")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--loss", default="0,1,3,5,10")
    options.add_argument("--jitter", type=float, default=0)
    options.add_argument("--modes", default="ours,repeat,silence")
    options = options.parse_args()
    voices = sorted(folder for folder in options.sounds.iterdir() if folder.is_dir())
    modes = options.modes.split(",")
    print(f"{'loss %':>7} {'voice':<22}" + "".join(f"{mode:>9}" for mode in modes) + "   ours - repeat")
    for loss in [float(loss) for loss in options.loss.split(",")]:
        rows = []
        for voice in voices:
            sound = prompt(voice, options.prompt)
            means = [
                numpy.mean([
                    score(options.conceal, sound, mode, loss, options.jitter, seed)
                    for seed in range(1, options.seeds + 1)
                ])
                for mode in modes
            ]
            rows.append(means)
            show(loss, voice.name, modes, means)
        show(loss, "all", modes, numpy.mean(rows, axis=0))


def show(loss, voice, modes, means):
    by_mode = dict(zip(modes, means))
    gain = by_mode["ours"] - by_mode["repeat"] if {"ours", "repeat"} <= by_mode.keys() else float("nan")
    print(f"{loss:7.0f} {voice:<22}" + "".join(f"{mean:9.3f}" for mean in means) + f"{gain:16.3f}", flush=True)


if __name__ == "__main__":
    main()
