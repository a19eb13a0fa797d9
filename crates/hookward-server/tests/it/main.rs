//! Stories about a gateway over real HTTP on loopback: what it answered, what it stored, what it delivered, what it logged.
//!
//! One binary, modules by topic. [`world`] holds a gateway, its senders and its application; nothing here sleeps: each
//! wait is for a mark.

#[cfg(test)]
mod accepting;
#[cfg(test)]
mod application;
#[cfg(test)]
mod delivering;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod handshaking;
#[cfg(test)]
mod living;
#[cfg(test)]
mod network;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod secrecy;
#[cfg(test)]
mod storing;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod watched;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod world;
