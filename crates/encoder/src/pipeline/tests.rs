//! What the pipeline promises, with a device that does what each test says.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{current, sleep};
use std::time::{Duration, Instant};

use super::MOST_OUTSTANDING;
use super::fake_device::{Counts, FINISHED, Fake, LAUNCHED, PATIENCE, TOKENISED};
use crate::error::EncodeError;

#[test]
fn every_text_is_computed_once_and_batches_come_back_in_order() {
    for threads in [1, 3] {
        for texts in [0, 1, 4, 5, 6, 99, 500] {
            // Now the device is the slower one, now the tokenizer.
            let slow = |_: &Counts, number: usize| {
                sleep(Duration::from_micros(if number % 40 < 20 { 300 } else { 0 }));
                Ok(())
            };
            let fake = Fake::new(texts).on_tokenise(slow).on_finish(slow);
            let (result, placed) = fake.run(threads);
            result.unwrap();
            assert_eq!(placed, fake.batches.lock().unwrap().concat());
            let mut sorted = placed;
            sorted.sort_unstable();
            assert_eq!(sorted, (0..u32::try_from(texts).unwrap()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn batches_do_not_depend_on_timing() {
    let batches = |threads, delay: fn(usize) -> u64| {
        let fake = Fake::new(200).on_tokenise(move |_, task| {
            sleep(Duration::from_micros(delay(task)));
            Ok(())
        });
        fake.run(threads).0.unwrap();
        fake.batches.into_inner().unwrap()
    };
    let expected = batches(1, |_| 0);
    assert_eq!(expected.len(), 100);
    assert_eq!(batches(4, |task| (task as u64 * 7919) % 900), expected);
}

#[test]
fn launches_go_on_while_the_oldest_batch_is_computed() {
    let fake = Fake::new(100).on_finish(|counts, text| {
        if text == 0 {
            counts.wait_for(LAUNCHED, MOST_OUTSTANDING);
            // Nor does another one begin before this one is done.
            sleep(Duration::from_millis(50));
            assert_eq!(counts.get(LAUNCHED), MOST_OUTSTANDING);
        }
        Ok(())
    });
    fake.run(2).0.unwrap();
    assert_eq!(fake.most_alive.load(SeqCst), MOST_OUTSTANDING);
}

#[test]
fn texts_are_tokenised_while_the_device_computes() {
    for threads in [1, 2] {
        let fake = Fake::new(100)
            .on_tokenise(|counts, task| {
                if task == 19 {
                    counts.wait_for(LAUNCHED, 1);
                }
                Ok(())
            })
            .on_finish(|counts, _| {
                // The first one comes back only when all texts are tokens.
                counts.wait_for(TOKENISED, 20);
                Ok(())
            });
        fake.run(threads).0.unwrap();
    }
}

#[test]
fn a_call_of_one_batch_needs_no_other_thread() {
    let here = current().id();
    let stays = move |_: &Counts, _| {
        assert_eq!(current().id(), here);
        Ok(())
    };
    let fake = Fake::new(2).on_tokenise(stays).on_launch(stays).on_finish(stays);
    let (result, placed) = fake.run(3);
    result.unwrap();
    assert_eq!(placed, [0, 1]);
}

#[test]
fn the_error_of_the_lowest_text_wins_whatever_the_timing() {
    let at = |text, delay: u64| {
        move |_: &Counts, found: usize| {
            if found == text {
                sleep(Duration::from_millis(delay));
                return Err(EncodeError::NonFinite { index: text });
            }
            Ok(())
        }
    };
    for (early, late) in [(0, 30), (30, 0)] {
        // Two in what comes back, one in a launch after both, and one in a tokenising task after all.
        let fake = Fake::new(200)
            .on_finish(move |counts, text| at(20, early)(counts, text).and(at(28, late)(counts, text)))
            .on_launch(at(40, 0))
            .on_tokenise(|_, task| if task == 30 { Err(EncodeError::NonFinite { index: 152 }) } else { Ok(()) });
        let error = fake.run(3).0.unwrap_err();
        assert!(matches!(error, EncodeError::NonFinite { index: 20 }), "{error:?}");
    }
}

#[test]
fn an_error_in_tokenising_lets_lower_texts_finish() {
    let fake = Fake::new(200)
        .on_tokenise(|_, task| {
            if task == 10 {
                return Err(EncodeError::Text { index: 52, message: "seven".to_owned() });
            }
            Ok(())
        })
        .on_finish(|_, text| if text == 48 { Err(EncodeError::NonFinite { index: 49 }) } else { Ok(()) });
    let error = fake.run(2).0.unwrap_err();
    assert!(matches!(error, EncodeError::NonFinite { index: 49 }), "{error:?}");
    let launched = fake.batches.into_inner().unwrap().concat();
    assert!((0..50).all(|text| launched.contains(&text)), "{launched:?}");
}

#[test]
fn memory_that_runs_out_ends_the_call_and_the_next_one_works() {
    let fake = Fake::new(1000).on_launch(|counts, _| {
        if counts.get(LAUNCHED) == 3 {
            return Err(EncodeError::OutOfMemory("of the fake".to_owned()));
        }
        Ok(())
    });
    let error = fake.run(2).0.unwrap_err();
    assert!(matches!(error, EncodeError::OutOfMemory(_)), "{error:?}");
    // Those of lower texts were all launched before, so no more than a few of higher ones are on their way.
    assert!(fake.batches.lock().unwrap().len() <= 3 + MOST_OUTSTANDING);
    let (result, placed) = fake.on_launch(|_, _| Ok(())).run(2);
    result.unwrap();
    assert_eq!(placed.len(), 1000);
}

#[test]
fn a_panic_is_an_internal_error_and_leaves_nothing_behind() {
    let seven = |_: &Counts, number| if number == 8 { panic!("seven") } else { Ok(()) };
    let nine = |_: &Counts, number| if number == 8 { panic!("nine") } else { Ok(()) };
    for fake in [Fake::new(400).on_launch(seven), Fake::new(400).on_finish(seven), Fake::new(400).on_tokenise(seven)] {
        assert_eq!(fake.run(2).0.unwrap_err().to_string(), "internal error: seven");
        assert!(fake.counts.get(FINISHED) < 190);
    }
    // Alone too.
    let alone = Fake::new(1).on_launch(|_, _| panic!("nine"));
    assert_eq!(alone.run(2).0.unwrap_err().to_string(), "internal error: nine");
    assert!(Fake::new(400).on_finish(nine).run(1).0.is_err());
}

#[test]
fn the_watcher_sees_progress_and_cancels() {
    let fake = Fake::new(100_000).on_finish(|_, _| {
        sleep(Duration::from_millis(2));
        Ok(())
    });
    let (mut looks, started) = (0, Instant::now());
    let (result, placed) = fake.run_watched(2, &mut |_| {
        looks += 1;
        if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(EncodeError::Cancelled)), "{result:?}");
    assert_eq!(looks, 3);
    assert!(!placed.is_empty() && placed.len() < 50_000);
    assert!(started.elapsed() < PATIENCE);
}
