//! The door for intents: what was handed over counts, and a ledger that is gone is told.

use revaer_catalog::{Intent, IntentError, IntentReply, Intents};

use crate::records::id;

#[tokio::test]
async fn an_intent_is_answered_by_whoever_reads_it() {
    let (intents, mut requests) = Intents::new();
    let ledger = async {
        let request = requests.recv().await.unwrap();
        assert!(matches!(request.intent, Intent::Pause(asked) if asked == id(1)));
        assert_eq!(request.request_id.as_deref(), Some("r"));
        request.reply.send(Ok(IntentReply::Removed)).unwrap();
    };
    let (answer, ()) = tokio::join!(intents.submit(Intent::Pause(id(1)), Some("r".to_owned())), ledger);
    assert!(matches!(answer, Ok(IntentReply::Removed)));
}

#[tokio::test]
async fn an_intent_counts_though_its_caller_has_gone_away() {
    let (intents, mut requests) = Intents::new();
    tokio::select! {
        biased;
        answer = intents.submit(Intent::Resume(id(1)), None) => panic!("nobody has answered: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let request = requests.recv().await.unwrap();
    assert!(matches!(request.intent, Intent::Resume(_)));
    assert!(request.reply.is_closed());
}

#[tokio::test]
async fn without_a_ledger_nothing_is_promised() {
    let (intents, requests) = Intents::new();
    drop(requests);
    assert_eq!(intents.submit(Intent::Pause(id(1)), None).await.unwrap_err(), IntentError::Unavailable);

    let (intents, mut requests) = Intents::new();
    let ledger = async { drop(requests.recv().await) };
    let (answer, ()) = tokio::join!(intents.submit(Intent::Pause(id(1)), None), ledger);
    assert_eq!(answer.unwrap_err(), IntentError::Unavailable);
}
