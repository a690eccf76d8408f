/* Reference figures for media/src/codec/g722/tests.rs, from spandsp's G.722.
 *
 *   cc -O1 reference.c -lspandsp -o reference && ./reference
 *
 * Prints, per signal, the FNV-1a hash of what comes out (samples as little-endian octets). The signals are
 * made from integers alone, by the same rules as in the test. spandsp's own self-test passes the ITU's digital test
 * sequences; `itu_test_mode` bypasses the band filters as those sequences do.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES 1
#include <spandsp.h>

#define SAMPLES 32000

static uint32_t seed;

static int32_t rnd(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (int32_t) seed >> 16;
}

static int16_t clip(int32_t value)
{
    return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}

/* A triangle wave of period 65536 in phase. */
static int32_t triangle(uint32_t phase)
{
    int32_t p = phase & 0xffff;
    return p < 32768 ? 2 * p - 32768 : 98303 - 2 * p;
}

static void signal(int number, int16_t *out)
{
    uint32_t phase = 0;
    seed = 1;
    for (int n = 0; n < SAMPLES; n++) {
        int32_t r = rnd();
        switch (number) {
        case 0: out[n] = r >> 2; break;
        case 1: phase += n; out[n] = triangle(phase) / 2; break;
        case 2: out[n] = r >> (2 + n / 1000 % 14); break;
        case 3: out[n] = r % 5; break;
        case 4: phase += 1800 + (n / 4000) * 900; out[n] = clip(triangle(phase) * 3 / 8 + (r >> 6)); break;
        default: out[n] = n / 37 % 2 ? 15000 : -15000; break;
        }
    }
}

static uint64_t fnv(const void *data, size_t octets)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const uint8_t *p = data; octets--; p++)
        hash = (hash ^ *p) * 0x100000001b3u;
    return hash;
}

static int16_t pcm[SAMPLES], out[2 * SAMPLES];
static uint8_t code[SAMPLES];

static void decode_all(const char *name, int number, int octets, int bands)
{
    static const int rates[] = {64000, 56000, 48000};
    for (int r = 0; r < 3; r++) {
        /* In an octet of mode 2 or 3 the audio bits come first; spandsp wants them shifted down. */
        static uint8_t shifted[SAMPLES];
        for (int n = 0; n < octets; n++)
            shifted[n] = code[n] >> r;
        g722_decode_state_t *d = g722_decode_init(NULL, rates[r], 0);
        d->itu_test_mode = bands;
        int samples = g722_decode(d, out, shifted, octets);
        printf("%s %d decoded at %d: 0x%016llx\n", name, number, rates[r], (unsigned long long) fnv(out, 2 * samples));
        g722_decode_free(d);
    }
}

int main(void)
{
    for (int number = 0; number < 6; number++) {
        signal(number, pcm);
        g722_encode_state_t *e = g722_encode_init(NULL, 64000, 0);
        int octets = g722_encode(e, code, pcm, SAMPLES);
        g722_encode_free(e);
        printf("signal %d encoded: 0x%016llx first", number, (unsigned long long) fnv(code, octets));
        for (int n = 0; n < 8; n++)
            printf(" %02x", code[n]);
        printf("\n");
        decode_all("signal", number, octets, 0);
    }
    for (int number = 0; number < 3; number++) {
        seed = 7;
        for (int n = 0; n < SAMPLES / 2; n++) {
            uint8_t octet = rnd();
            /* noise; octets that repeat for a while; noise with runs of the outermost codewords */
            if (number == 1) octet = n / 5 * 37;
            if (number == 2 && n / 100 % 2) octet = octet & 1 ? 0x84 : 0xa0;
            code[n] = octet;
        }
        decode_all("octets", number, SAMPLES / 2, 1);
    }
    /* Bands without filters: the samples go to both, 15 bits each, and come back one after the other. */
    for (int number = 0; number < 2; number++) {
        seed = 3;
        for (int n = 0; n < SAMPLES; n++)
            pcm[n] = number ? (rnd() > 0 ? 32766 : -32768) : (rnd() >> (n / 500 % 12)) & ~1;
        g722_encode_state_t *e = g722_encode_init(NULL, 64000, 0);
        e->itu_test_mode = 1;
        int octets = g722_encode(e, code, pcm, SAMPLES);
        printf("bands %d encoded: %d 0x%016llx\n", number, octets, (unsigned long long) fnv(code, octets));
        g722_decode_state_t *d = g722_decode_init(NULL, 64000, 0);
        d->itu_test_mode = 1;
        int samples = g722_decode(d, out, code, octets);
        printf("bands %d decoded: %d 0x%016llx\n", number, samples, (unsigned long long) fnv(out, 2 * samples));
    }
    return 0;
}
