//! Setup tokens: issued one at a time, verified by their hash, every step in the history.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{ChangeContext, ConfigService, commit::OpenChange};
use crate::{
    error::{ConfigError, Fault, TokenFault},
    password,
    profile::Mode,
    sql::{history, settings, tokens},
    token::SetupToken,
};

/// Seconds that a token may live.
const LIFETIME: std::ops::RangeInclusive<u64> = 1..=86_400;

/// A setup token, shown once.
pub struct IssuedToken {
    /// What completes setup.
    pub token: String,
    /// When it stops being taken.
    pub expires_at: OffsetDateTime,
}

impl ConfigService {
    /// Issues a setup token that lives for `ttl`; one that lives already is superseded.
    pub async fn setup_start(
        &self,
        issued_by: &str,
        ttl: Duration,
        context: ChangeContext,
    ) -> Result<IssuedToken, ConfigError> {
        let faults = Self::setup_start_faults(issued_by, ttl);
        if !faults.is_empty() {
            return Err(ConfigError::invalid(faults));
        }
        let token = SetupToken::generate()?;
        let secret = token.secret.clone();
        let token_hash = self.hash(move || password::hash(&secret)).await?;
        let _turn = self.turn().await?;
        let issued = async {
            let OpenChange { mut transaction, current, .. } = self.open_change(&context).await?;
            if current.app.mode != Mode::Setup {
                return Err(ConfigError::NotInSetup);
            }
            tokens::token_end_live(&mut transaction).await?;
            let seconds = ttl.as_secs_f64();
            let expires_at =
                tokens::token_insert(&mut transaction, token.id, &token_hash, issued_by, seconds).await?;
            transaction.commit().await?;
            Ok(expires_at)
        };
        let expires_at = match issued.await {
            Ok(expires_at) => expires_at,
            Err(error) => return Err(self.explain(error).await),
        };
        tracing::info!(event = "setup_token.issued", issued_by, %expires_at, "setup token issued");
        Ok(IssuedToken { token: token.reveal(), expires_at })
    }

    /// What is wrong with the request for a token, each where the request's body says it.
    pub fn setup_start_faults(issued_by: &str, ttl: Duration) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(rule) = crate::shape::label(issued_by) {
            faults.push(Fault::new("/issued_by", rule));
        }
        if !LIFETIME.contains(&ttl.as_secs()) {
            faults.push(Fault::new("/ttl_seconds", "must be an integer from 1 to 86400"));
        }
        faults
    }

    /// The id of a live token.
    pub(super) async fn verify_token(&self, text: &str) -> Result<Uuid, ConfigError> {
        let refused = |fault| Err(ConfigError::Token(fault));
        let token = SetupToken::parse(text);
        let row = tokens::token_read(&self.shared.pool, token.as_ref().map(|token| token.id)).await?;
        if !row.in_setup {
            return Err(ConfigError::NotInSetup);
        }
        if text.trim().is_empty() {
            return refused(TokenFault::Missing);
        }
        let Some((token, stored)) = token.zip(row.token_hash) else { return refused(TokenFault::Unknown) };
        let secret = token.secret;
        if !self.hash(move || Ok(password::verify(&secret, &stored))).await? {
            return refused(TokenFault::Unknown);
        }
        // Which of them it is, is told only to who has the token.
        match row.state.as_str() {
            "live" => Ok(token.id),
            "consumed" => refused(TokenFault::Consumed),
            "superseded" => refused(TokenFault::Superseded),
            _ => {
                tokens::token_expire(&self.shared.pool, token.id).await?;
                refused(TokenFault::Expired)
            }
        }
    }

    /// A completion without a token that could be one: left in the history and the log.
    pub async fn setup_refused(&self, fault: TokenFault, context: &ChangeContext) {
        self.note_rejection("", &ConfigError::Token(fault), context).await;
    }

    /// Marks the live token as expired once its time is over, though nobody has used it.
    pub(super) async fn expire_token(&self) -> Result<(), ConfigError> {
        if self.snapshot().app.mode == Mode::Setup {
            tokens::token_expire_due(&self.shared.pool).await?;
        }
        Ok(())
    }

    /// Leaves a refused token in the history and the log, without the token.
    pub(super) async fn note_rejection(&self, token: &str, error: &ConfigError, context: &ChangeContext) {
        let ConfigError::Token(fault) = error else { return };
        let row = SetupToken::parse(token).map_or_else(|| "unknown".to_owned(), |token| token.id.to_string());
        let reason = fault.to_string();
        tracing::warn!(
            event = "setup_token.rejected",
            reason,
            actor = context.actor,
            peer = context.peer,
            "setup token rejected"
        );
        if !self.may_note_rejection() {
            return;
        }
        let noted = async {
            let mut transaction = self.shared.pool.begin().await?;
            settings::name_writer(&mut transaction, context.writer()).await?;
            history::note_rejected_token(&mut transaction, &row, &reason).await?;
            transaction.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "a rejected setup token could not be noted in the history");
        }
    }
}

impl ConfigService {
    /// One row a second: guessing fills the log, which rotates, and not the database.
    fn may_note_rejection(&self) -> bool {
        let mut noted = self.shared.rejection_noted.lock().unwrap_or_else(PoisonError::into_inner);
        let due = noted.is_none_or(|at| at.elapsed() >= Duration::from_secs(1));
        if due {
            *noted = Some(Instant::now());
        }
        due
    }
}
