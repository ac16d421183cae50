//! Who does what when: on an ordinary day, and on one that ends badly.
//!
//! In: dice. Out: the acts of the day, in order of time. Nothing here connects to anything.

use super::day::time;
use crate::demo::shop::dice::Dice;
use crate::demo::shop::{CUSTOMERS, EVENTS, ORDERS, Role};

/// One thing that somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nobody: a line of the commentary.
    Say(&'static str),
    /// The web shop connects.
    Open,
    /// Back office and clerk connect.
    CounterOpens,
    /// Back office and clerk go home.
    CounterCloses,
    /// The web shop's pool is restarted for the night.
    Close,
    /// The web shop lists events.
    Browse,
    /// The web shop shows a customer's own page.
    SignIn { customer: i32 },
    /// The web shop sells tickets.
    Order { customer: i32, event: i32, seats: i16 },
    /// The back office turns a page of the orders.
    Page { after_order: i32 },
    /// The clerk looks up the customer at the counter.
    LookUp { customer: i32 },
    /// Somebody mistypes a password.
    Mistype(Role),
    /// The batch copies the mailing list, under its permit.
    Letter,
    /// The clerk's account, from elsewhere, looks up a few customers.
    InsiderLooks { customer: i32 },
    /// The clerk's account, from elsewhere, copies the customers.
    InsiderCopies,
}

const SIGN_INS_PER_HOUR: u32 = 20;
const ORDERS_PER_HOUR: u32 = 5;
const LIST_VIEWS_PER_HOUR: u32 = 15;
const PAGES_PER_HOUR: u32 = 2;
const LOOK_UPS_PER_HOUR: u32 = 4;
/// Orders on a page of the back office.
pub const PAGE_ORDERS: i32 = 25;

const WEB_OPENS: u32 = 9;
const WEB_CLOSES: u32 = 20;
const OFFICE_OPENS: u32 = 10;
const OFFICE_CLOSES: u32 = 17;
/// The insider's hour, in seconds after midnight.
pub const INSIDER_AT: u32 = time(23, 40);

/// A day on which nothing happens: (seconds after midnight, act), in order. `offices`: whether they are open, as on working days.
pub fn ordinary(dice: &mut Dice, offices: bool) -> Vec<(u32, Act)> {
    let mut acts = Vec::new();
    web(dice, &mut acts);
    if offices {
        office(dice, &mut acts);
        // Fewer come to the counter on some days than on others.
        let away = dice.below(6);
        acts.retain(|(_, act)| !matches!(act, Act::LookUp { .. }) || dice.below(8) >= away);
        if dice.below(3) == 0 {
            acts.push((time(13, 2), Act::Mistype(Role::Clerk)));
        }
    }
    in_order(acts)
}

/// The day that ends badly, with its commentary.
pub fn schedule(dice: &mut Dice) -> Vec<(u32, Act)> {
    let mut acts = vec![
        (time(WEB_OPENS, 0), Act::Say("The web shop, the back office and the counter open.")),
        (time(12, 0), Act::Say("Noon. Customers sign in and order; the back office pages through the orders.")),
        (time(13, 2), Act::Say("After lunch, somebody mistypes a password, twice.")),
        (time(13, 2), Act::Mistype(Role::Clerk)),
        (time(13, 3), Act::Mistype(Role::Backoffice)),
        (time(15, 0), Act::Say("At the counter the clerk looks up customers, one at a time.")),
        (time(OFFICE_CLOSES, 45), Act::Say("Back office and counter go home.")),
        (time(22, 0), Act::Say("The batch copies the mailing list: everybody, but announced (permit OPS-1234).")),
        (time(22, 0), Act::Letter),
        (INSIDER_AT, Act::Say("The clerk's account again, from an address it never came from.")),
    ];
    web(dice, &mut acts);
    office(dice, &mut acts);
    for minute in 1..4 {
        acts.push((INSIDER_AT + minute * 60, Act::InsiderLooks { customer: customer(dice) }));
    }
    acts.push((INSIDER_AT + 5 * 60, Act::Say("Then it copies the table of the customers.")));
    acts.push((INSIDER_AT + 5 * 60, Act::InsiderCopies));
    in_order(acts)
}

/// Stable: what stands at the same second stays as it is written.
fn in_order(mut acts: Vec<(u32, Act)>) -> Vec<(u32, Act)> {
    acts.sort_by_key(|(second, _)| *second);
    acts
}

fn web(dice: &mut Dice, acts: &mut Vec<(u32, Act)>) {
    acts.push((time(WEB_OPENS, 0), Act::Open));
    for hour in WEB_OPENS..WEB_CLOSES {
        spread(dice, hour, LIST_VIEWS_PER_HOUR, acts, |_| Act::Browse);
        spread(dice, hour, SIGN_INS_PER_HOUR, acts, |dice| Act::SignIn { customer: customer(dice) });
        spread(dice, hour, ORDERS_PER_HOUR, acts, |dice| Act::Order {
            customer: customer(dice),
            event: one_of(dice, EVENTS),
            seats: if dice.below(3) == 0 { 1 } else { 2 },
        });
    }
    acts.push((time(WEB_CLOSES, 0), Act::Close));
}

fn office(dice: &mut Dice, acts: &mut Vec<(u32, Act)>) {
    acts.push((time(WEB_OPENS, 0), Act::CounterOpens));
    for hour in OFFICE_OPENS..OFFICE_CLOSES {
        spread(dice, hour, PAGES_PER_HOUR, acts, |dice| Act::Page { after_order: one_of(dice, ORDERS - 100) });
        spread(dice, hour, LOOK_UPS_PER_HOUR, acts, |dice| Act::LookUp { customer: customer(dice) });
    }
    acts.push((time(OFFICE_CLOSES, 45), Act::CounterCloses));
}

fn spread(dice: &mut Dice, hour: u32, times: u32, acts: &mut Vec<(u32, Act)>, act: impl Fn(&mut Dice) -> Act) {
    for _ in 0..times {
        // Not in the hour's first second: there stands what opens the day.
        let second = time(hour, 0) + 1 + dice.below_u32(time(1, 0) - 1);
        let act = act(dice);
        acts.push((second, act));
    }
}

fn customer(dice: &mut Dice) -> i32 {
    one_of(dice, CUSTOMERS)
}

/// An id from 1 to `count`.
fn one_of(dice: &mut Dice, count: u32) -> i32 {
    i32::try_from(1 + dice.below(u64::from(count))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_in_order_and_everything_happens_while_its_people_are_there() {
        let acts = schedule(&mut Dice::new(1));
        assert!(acts.is_sorted_by_key(|(second, _)| *second));
        let place = |wanted: &dyn Fn(&Act) -> bool| acts.iter().position(|(_, act)| wanted(act)).unwrap();
        let last = |wanted: &dyn Fn(&Act) -> bool| acts.iter().rposition(|(_, act)| wanted(act)).unwrap();
        let is_web = |act: &Act| matches!(act, Act::Browse | Act::SignIn { .. } | Act::Order { .. });
        let is_office = |act: &Act| matches!(act, Act::Page { .. } | Act::LookUp { .. });
        let open = place(&|act| *act == Act::Open);
        assert!(open < place(&is_web) && last(&is_web) < place(&|act| *act == Act::Close));
        assert!(open < place(&is_office) && last(&is_office) < place(&|act| *act == Act::CounterCloses));
        assert_eq!(last(&|_| true), place(&|act| *act == Act::InsiderCopies));
    }

    #[test]
    fn on_a_free_day_the_web_shop_is_alone_and_nobody_ever_copies() {
        for (offices, seed) in [(true, 1), (false, 2)] {
            let acts = ordinary(&mut Dice::new(seed), offices);
            let any = |wanted: &dyn Fn(&Act) -> bool| acts.iter().any(|(_, act)| wanted(act));
            assert!(any(&|act| matches!(act, Act::SignIn { .. })));
            assert_eq!(any(&|act| matches!(act, Act::LookUp { .. } | Act::CounterOpens)), offices);
            assert!(!any(&|act| matches!(act, Act::Letter | Act::InsiderCopies | Act::Say(_))));
        }
    }

    #[test]
    fn is_the_same_every_time() {
        assert_eq!(schedule(&mut Dice::new(1)), schedule(&mut Dice::new(1)));
        assert_ne!(schedule(&mut Dice::new(1)), schedule(&mut Dice::new(2)));
    }
}
