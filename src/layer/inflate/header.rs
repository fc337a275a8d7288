//! Headers of blocks with codes of their own, readable in pieces: each step takes all its bits or none.

use super::bits::BitReader;
use super::output::{DataError, data_error};
use super::tables::{Precode, Tables};

/// Order in which the lengths of the code length code stand (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK: usize = 256;
const MAX_LITLEN: usize = 286;
const MAX_DISTANCES: usize = 30;

#[derive(Clone, Copy, Debug)]
enum Stage {
    Counts,
    /// This many lengths of the code length code are read.
    Precode(usize),
    /// This many code lengths are read.
    Lengths(usize),
}

/// A header being read.
#[derive(Debug)]
pub(super) struct Header {
    stage: Stage,
    litlens: usize,
    distances: usize,
    precodes: usize,
    precode_lengths: [u8; 19],
    precode: Precode,
    lengths: [u8; MAX_LITLEN + MAX_DISTANCES],
}

impl Header {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Counts,
            litlens: 0,
            distances: 0,
            precodes: 0,
            precode_lengths: [0; 19],
            precode: Precode::new(),
            lengths: [0; MAX_LITLEN + MAX_DISTANCES],
        }
    }

    /// Begins a header.
    pub(super) fn restart(&mut self) {
        self.stage = Stage::Counts;
    }

    /// Reads on. True when the header has ended and `tables` are those of its block, false when the
    /// input has ended.
    pub(super) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        tables: &mut Tables,
    ) -> Result<bool, DataError> {
        loop {
            match self.stage {
                Stage::Counts => {
                    if !reader.has(14) {
                        return Ok(false);
                    }
                    self.litlens = 257 + reader.take(5) as usize;
                    self.distances = 1 + reader.take(5) as usize;
                    self.precodes = 4 + reader.take(4) as usize;
                    if self.litlens > MAX_LITLEN || self.distances > MAX_DISTANCES {
                        return data_error("too many length or distance symbols");
                    }
                    self.precode_lengths = [0; 19];
                    self.stage = Stage::Precode(0);
                }
                Stage::Precode(read) => {
                    if read < self.precodes {
                        if !reader.has(3) {
                            return Ok(false);
                        }
                        self.precode_lengths[usize::from(ORDER[read])] = reader.take(3) as u8;
                        self.stage = Stage::Precode(read + 1);
                        continue;
                    }
                    if self.precode.build(&self.precode_lengths).is_err() {
                        return data_error("invalid code lengths set");
                    }
                    self.stage = Stage::Lengths(0);
                }
                Stage::Lengths(read) => {
                    let read = self.read_lengths(read, reader)?;
                    self.stage = Stage::Lengths(read);
                    if read < self.litlens + self.distances {
                        return Ok(false);
                    }
                    self.build(tables)?;
                    return Ok(true);
                }
            }
        }
    }

    /// Reads code lengths behind the first `read`, until all are there or the input ends. Returns how
    /// many there are.
    fn read_lengths(
        &mut self,
        mut read: usize,
        reader: &mut BitReader<'_>,
    ) -> Result<usize, DataError> {
        let total = self.litlens + self.distances;
        while read < total {
            reader.has(14);
            let entry = self.precode.entry(reader.word);
            let symbol = entry.payload();
            let extra = match symbol {
                0..16 => 0,
                16 => 2,
                17 => 3,
                _ => 7,
            };
            if entry.bits() + extra > reader.count {
                break;
            }
            reader.skip(entry.bits());
            if symbol < 16 {
                self.lengths[read] = symbol as u8;
                read += 1;
                continue;
            }
            let length = match (symbol, read) {
                (16, 0) => return data_error("invalid bit length repeat"),
                (16, _) => self.lengths[read - 1],
                _ => 0,
            };
            let repeat = if symbol == 18 { 11 } else { 3 } + reader.take(extra) as usize;
            if repeat > total - read {
                return data_error("invalid bit length repeat");
            }
            self.lengths[read..read + repeat].fill(length);
            read += repeat;
        }
        Ok(read)
    }

    fn build(&self, tables: &mut Tables) -> Result<(), DataError> {
        let (litlens, distances) =
            self.lengths[..self.litlens + self.distances].split_at(self.litlens);
        if litlens[END_OF_BLOCK] == 0 {
            return data_error("invalid code -- missing end-of-block");
        }
        if tables.build_litlen(litlens).is_err() {
            return data_error("invalid literal/lengths set");
        }
        if tables.build_distance(distances).is_err() {
            return data_error("invalid distances set");
        }
        Ok(())
    }
}
