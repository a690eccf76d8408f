//! How the commands get their phone: the engine of a configuration, and its sound.

use super::account::{seed, trust};
use crate::audio::{Audio, Silence};
#[cfg(feature = "sound-card")]
use crate::config::AudioEntry;
use crate::config::Config;
use crate::io::{Engine, EngineConfig, Server};
use crate::phone::Settings;
use anyhow::{Context, Result};
use media::codec::opus;
use media::dsp::SampleRate;
use media::source::Country;

/// The phone of a command.
pub(super) fn engine(
    servers: Vec<Server>,
    config: &Config,
    settings: Settings,
    audio: Box<dyn Audio>,
    expires_s: u32,
) -> Result<Engine> {
    let [first, last] = config.phone.ports;
    Ok(Engine::new(EngineConfig {
        servers,
        settings,
        audio,
        ports: first..=last,
        country: Country::of(&config.phone.country).context("no tones are known of this country")?,
        opus: opus::Settings::default(),
        expires_s,
        trust: trust(config)?,
        seed: seed()?,
    })?)
}

/// The sound of the phone: the sound card where there is one and it is wanted, processed as the configuration says.
pub(super) fn audio(config: &Config) -> Box<dyn Audio> {
    let entry = &config.audio;
    #[cfg(feature = "sound-card")]
    if entry.device {
        use crate::audio::{Card, Devices};
        let devices = Devices {
            microphone: entry.microphone.clone(),
            speaker: entry.speaker.clone(),
            ringer: entry.ringer.clone(),
        };
        match Card::new(devices) {
            Ok(card) => return processed(card, entry),
            Err(error) => eprintln!("softphone: no sound card is used: {error}"),
        }
    }
    #[cfg(not(feature = "sound-card"))]
    if entry.device {
        eprintln!(
            "softphone: this program was built without sound cards (feature sound-card): nothing is heard or said"
        );
    }
    Box::new(Silence(SampleRate::Hz16000))
}

#[cfg(all(feature = "sound-card", feature = "processing"))]
fn processed(card: crate::audio::Card, entry: &AudioEntry) -> Box<dyn Audio> {
    let wanted = crate::audio::Processing {
        echo: entry.echo_cancellation,
        noise: entry.noise_suppression,
        gain: entry.gain_control,
    };
    Box::new(crate::audio::Processed::new(card, wanted))
}

#[cfg(all(feature = "sound-card", not(feature = "processing")))]
fn processed(card: crate::audio::Card, _entry: &AudioEntry) -> Box<dyn Audio> {
    Box::new(card)
}
