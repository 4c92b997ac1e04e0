//! Event numbers: leased from the database in blocks, so that they grow over crashes and leave holes, never repeats.

use sqlx::PgConnection;

use crate::sql;

/// How many numbers one lease brings.
pub(crate) const BLOCK: u64 = 65_536;

/// The numbers that the ledger may give out. Owned by the ledger alone.
#[derive(Debug)]
pub struct Numbers {
    next: u64,
    leased_through: u64,
}

impl Numbers {
    /// Leases the first block. Nothing below it is ever given out again.
    pub async fn lease(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let leased_through = sql::lease(connection, 0, BLOCK).await?;
        Ok(Self { next: leased_through - BLOCK + 1, leased_through })
    }

    /// The newest number that may have been given out by anybody so far.
    pub const fn newest(&self) -> u64 {
        self.next - 1
    }

    /// Makes sure that `count` numbers can be given out. Commits on its own: a lease that is rolled back with a
    /// failed batch would be given out twice.
    pub async fn ensure(&mut self, connection: &mut PgConnection, count: u64) -> Result<(), sqlx::Error> {
        while self.leased_through - self.newest() < count {
            // Never below what was leased before: an older copy of the database may have come in its place.
            let through = sql::lease(connection, self.leased_through, BLOCK).await?;
            // Somebody else's lease between (a restore) leaves a hole; ours begins after it.
            if through - BLOCK > self.leased_through {
                self.next = through - BLOCK + 1;
            }
            self.leased_through = through;
        }
        Ok(())
    }

    /// Gives out one number; `None` when the lease is used up.
    pub fn take(&mut self) -> Option<u64> {
        (self.next <= self.leased_through).then(|| {
            self.next += 1;
            self.next - 1
        })
    }
}
