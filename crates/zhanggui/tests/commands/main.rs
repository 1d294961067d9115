//! The commands as they are typed: the built executable, files, and a simulated WeChat in this process.

mod doctor;
mod explain;
mod place;
