//! A second switch that starts from a snapshot of the first, and has to do exactly what that does.

use sip_stack::Time;
use softswitch::core::{Input, Output, Snapshot, SnapshotPart, Switch};

/// One thing done to the switch, and what came of it, each output encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// When.
    pub now: Time,
    /// What it was given; `None` for a timeout.
    pub input: Option<Input>,
    /// Its outputs.
    pub outputs: Vec<Vec<u8>>,
}

impl Deed {
    /// Does something to a switch and notes what comes of it.
    pub fn perform(switch: &mut Switch, now: Time, input: Option<Input>) -> (Deed, Vec<Output>) {
        match input.clone() {
            Some(input) => switch.handle_input(now, input),
            None => switch.handle_timeout(now),
        }
        let outputs: Vec<Output> = std::iter::from_fn(|| switch.poll_output()).collect();
        let encoded = outputs.iter().map(encode).collect();
        (Deed { now, input, outputs: encoded }, outputs)
    }

    /// Does it again to another switch.
    ///
    /// # Panics
    /// When anything else comes of it.
    pub fn repeat(&self, switch: &mut Switch) {
        let (again, _) = Deed::perform(switch, self.now, self.input.clone());
        assert_eq!(&again.outputs, &self.outputs, "another output at {:?} after {:?}", self.now, self.input);
    }
}

fn encode(output: &Output) -> Vec<u8> {
    postcard::to_allocvec(output).expect("an output serialises into memory")
}

/// A snapshot that is being taken, or the switch that came of it.
#[derive(Debug)]
pub enum Shadow {
    /// Slices are still being written.
    Copying {
        /// Its head.
        head: Snapshot,
        /// The slices so far.
        parts: Vec<SnapshotPart>,
        /// What was done to the switch since the snapshot began.
        since: Vec<Deed>,
        /// Slots in a slice.
        slots: usize,
    },
    /// It runs beside the first one.
    Running(Box<Switch>),
}

impl Shadow {
    /// Begins a snapshot of `switch`, to be written `slots` slots at a time.
    pub fn begin(switch: &mut Switch, slots: usize) -> Shadow {
        Shadow::Copying { head: switch.snapshot(), parts: Vec::new(), since: Vec::new(), slots }
    }

    /// Something was done to the switch: the shadow does it too, or another slice is written.
    ///
    /// # Panics
    /// When the shadow does something else.
    pub fn follow(&mut self, switch: &mut Switch, deed: &Deed) {
        match self {
            Shadow::Running(shadow) => deed.repeat(shadow),
            Shadow::Copying { head, parts, since, slots } => {
                since.push(deed.clone());
                match switch.slice(*slots) {
                    Some(part) => parts.push(part),
                    None => {
                        let parts = std::mem::take(parts);
                        let mut shadow = Switch::restore(&head.0, parts).expect("our own snapshot");
                        since.iter().for_each(|deed| deed.repeat(&mut shadow));
                        *self = Shadow::Running(Box::new(shadow));
                    }
                }
            }
        }
    }

    /// Whether the second switch runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Shadow::Running(_))
    }
}
