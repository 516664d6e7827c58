//! The web server over real sockets, with states made by hand: no kernel is
//! needed, and none is asked.

#[cfg(test)]
mod access;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod process;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod support;
