//! The encoder as its users see it, on the shared fixtures.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod goldens;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod sparse;
#[cfg(test)]
mod tokenizer_files;
