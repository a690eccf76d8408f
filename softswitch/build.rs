//! Has the program built anew when a prompt is added or removed: the compiler itself watches only those it has read.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=prompts");
}
