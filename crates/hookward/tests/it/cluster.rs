//! Several gateways on one table of DynamoDB Local: some are killed, one is stopped, one stands still, and one loses its
//! way to the table.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hookward_server::{Clock as _, SystemClock};
use rustix::process::Signal;

use crate::{
    application::{Application, Delivery},
    engine,
    program::{
        Gateway, ORDERS_SECRET, OTHER_SECRET, PATIENCE, Place, ask, order, post, ran, status_of,
    },
};

/// The shortest lease that there is. Others wait 5 s longer before they take over.
const LEASE: &str = "5s";

/// How long the takeover of a node may take whose successor is killed too, on a busy machine.
const TAKEOVER: Duration = Duration::from_mins(1);

/// From here on are the numbers of orders that nobody signed.
const FORGED: usize = 1_000_000;

/// Every so-manieth order is refused by the application the first time.
const FUSSY: usize = 5;

static TABLES: AtomicU64 = AtomicU64::new(0);

/// A folder whose configuration names a new table.
fn place(endpoint: SocketAddr) -> Place {
    let place = Place::with(Application::that_answers(|delivery| {
        let is_first = delivery.header("hookward-attempt") == "1";
        (is_first && number(delivery).is_multiple_of(FUSSY)).then_some(500)
    }));
    let table =
        format!("cluster-{}-{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
    let store = format!(
        "[store]\nkind = \"dynamodb\"\ntable = \"{table}\"\nregion = \"eu-central-1\"\n\
         endpoint = \"http://{endpoint}\"\nnode_lease = \"{LEASE}\""
    );
    place.configure(|text| text.replace("[store]\npath = \"events\"", &store));
    ran(program(&place, &["dynamodb", "create"])).well();
    place
}

/// The program with credentials that DynamoDB Local takes.
fn program(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", "hookward").env("AWS_SECRET_ACCESS_KEY", "hookward");
    command
}

/// The number of a delivered order.
fn number(delivery: &Delivery) -> usize {
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
    usize::try_from(body["order"].as_u64().unwrap()).unwrap()
}

/// One process, from its start to its end. The application sees from the path which one delivers.
type Life = usize;

fn life_of(delivery: &Delivery) -> Life {
    delivery.path.rsplit('/').next().unwrap().parse().unwrap()
}

/// Looks again and again, as long as anybody would wait.
#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = SystemClock::start();
    while !holds() {
        assert!(clock.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}

/// What is known of the cluster from outside.
#[derive(Debug, Default)]
struct Known {
    /// Where each node was last.
    addresses: Vec<Option<SocketAddr>>,
    sent: BTreeSet<usize>,
    acknowledged: BTreeSet<usize>,
    /// Whoever began a takeover, in that order.
    successors: Vec<Life>,
    /// Nodes of the table that were taken over.
    taken_over: BTreeSet<u64>,
    /// What was still alive, and was taken for dead: a machine that stands still does that.
    lapsed: Vec<Life>,
    /// Whose settlement of an order's delivery failed.
    unsettled: BTreeSet<(Life, String)>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        let worked = work(&mut self.known.lock().unwrap());
        self.changed.notify_all();
        worked
    }

    /// Waits until something is so.
    #[track_caller]
    fn until(&self, what: &str, patience: Duration, holds: impl Fn(&Known) -> bool) {
        let known = self.known.lock().unwrap();
        let (known, waited) =
            self.changed.wait_timeout_while(known, patience, |known| !holds(known)).unwrap();
        assert!(
            !waited.timed_out(),
            "not within {patience:?}: {what}; {} acknowledged, taken over: {:?}",
            known.acknowledged.len(),
            known.taken_over
        );
    }

    /// Waits until so many more orders were acknowledged.
    #[track_caller]
    fn goes_on_for(&self, acknowledged: usize) {
        let until = self.with(|known| known.acknowledged.len()) + acknowledged;
        self.until("webhooks are acknowledged", TAKEOVER, |known| {
            known.acknowledged.len() >= until
        });
    }

    fn hears(&self, life: Life, line: &str) {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { return };
        let message = line["message"].as_str().unwrap_or_default();
        if message.starts_with("taking over the unfinished events") {
            self.with(|known| known.successors.push(life));
        } else if message.starts_with("took over the unfinished events") {
            self.with(|known| known.taken_over.insert(line["node"].as_u64().unwrap()));
        } else if message.starts_with("this node was taken for dead") {
            self.with(|known| known.lapsed.push(life));
        } else if message.starts_with("the outcome of a delivery was not kept") {
            let key = line["key"].as_str().unwrap().to_owned();
            self.with(|known| known.unsettled.insert((life, key)));
        }
    }
}

/// Nodes on one table, and senders of webhooks to them.
struct Cluster {
    place: Place,
    shared: Arc<Shared>,
    nodes: Vec<Option<(Life, Gateway)>>,
    lives: Life,
    /// How many deliveries there were when a life was killed.
    killed: BTreeMap<Life, usize>,
    senders: Vec<JoinHandle<()>>,
}

impl Cluster {
    fn start(size: usize) -> Self {
        let shared = Arc::new(Shared::default());
        shared.with(|known| known.addresses = vec![None; size]);
        let mut cluster = Self {
            place: place(engine::address()),
            shared,
            nodes: (0..size).map(|_| None).collect(),
            lives: 0,
            killed: BTreeMap::new(),
            senders: Vec::new(),
        };
        for at in 0..size {
            cluster.begins(at);
        }
        cluster
    }

    /// Starts a node, under a new life.
    fn begins(&mut self, at: usize) {
        let life = self.lives;
        self.lives += 1;
        let text = std::fs::read_to_string(self.place.path().join("hookward.toml")).unwrap();
        let file = format!("life-{life}.toml");
        self.place.write(&file, &text.replace("/webhooks\"", &format!("/webhooks/{life}\"")));
        let shared = Arc::clone(&self.shared);
        let command = program(&self.place, &["serve", "--config", &file]);
        let gateway = Gateway::start_heard(command, move |line| shared.hears(life, line));
        self.shared.with(|known| known.addresses[at] = Some(gateway.address));
        self.nodes[at] = Some((life, gateway));
    }

    /// `kill -9`.
    fn kills(&mut self, at: usize) {
        let (life, gateway) = self.nodes[at].take().unwrap();
        gateway.dies();
        self.killed.insert(life, self.place.app.got(0).len());
    }

    /// Asks a node to stop, and waits until it has.
    fn stops(&mut self, at: usize) -> Vec<String> {
        self.nodes[at].take().unwrap().1.stops()
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|at| self.nodes[*at].is_some()).collect()
    }

    /// Starts senders, who go on until it is over.
    fn is_sent_to(&mut self, senders: usize, dice: &mut fastrand::Rng) {
        for first in 0..senders {
            let (shared, dice) = (Arc::clone(&self.shared), dice.fork());
            self.senders.push(thread::spawn(move || Sender { shared, dice }.sends(first, senders)));
        }
    }

    /// Ends the senders, each with its last order acknowledged; and waits until nothing is left to be done.
    fn comes_to_rest(&mut self) -> Ended {
        self.shared.with(|known| known.is_over = true);
        for sender in self.senders.drain(..) {
            sender.join().unwrap();
        }
        let gone = self.killed.len();
        self.shared.until("those killed are taken over", TAKEOVER, |known| {
            known.taken_over.len() >= gone + known.lapsed.len()
        });
        let acknowledged = self.shared.with(|known| known.acknowledged.clone());
        let lost = |deliveries: &[Delivery]| -> Vec<usize> {
            let delivered: BTreeSet<_> =
                deliveries.iter().filter(|it| it.status == 200).map(number).collect();
            acknowledged.difference(&delivered).copied().collect()
        };
        let lost = lost(&self.place.app.waits(|deliveries| lost(deliveries).is_empty()));
        assert!(lost.is_empty(), "acknowledged and not delivered: {lost:?}");

        // What is pending in the table may be delivered once more.
        let at = self.alive()[0];
        self.place.knows(&self.nodes[at].as_ref().unwrap().1);
        let listed = |state: &str| {
            let list = ["events", "list", "-c", "running.toml", "--json", "--state", state];
            self.place.run(&list).json().as_array().unwrap().clone()
        };
        soon("nothing is pending", || listed("pending").is_empty());
        assert_eq!(listed("dead").len(), 0);
        for at in self.alive() {
            self.stops(at);
        }
        Ended::of(self.place.app.got(0), self.shared.with(std::mem::take))
    }
}

/// A sender as there are many: what has no good answer at one node is sent to the next one, and again later.
struct Sender {
    shared: Arc<Shared>,
    dice: fastrand::Rng,
}

impl Sender {
    fn sends(mut self, first: usize, step: usize) {
        let mut fresh = (first..).step_by(step);
        let mut postponed = VecDeque::new();
        loop {
            let is_over = self.shared.with(|known| known.is_over);
            let again = is_over || postponed.len() >= 5 || self.dice.u8(..) < 64;
            let number = match if again { postponed.pop_front() } else { fresh.next() } {
                Some(number) => number,
                None if is_over => return,
                None => continue,
            };
            self.shared.with(|known| known.sent.insert(number));
            if !self.is_acknowledged(number) {
                postponed.push_back(number);
                // A sender's manners: nobody waits for this.
                thread::sleep(Duration::from_millis(20 * postponed.len() as u64));
                continue;
            }
            self.shared.with(|known| known.acknowledged.insert(number));
            self.is_a_nuisance(number);
        }
    }

    fn is_acknowledged(&mut self, number: usize) -> bool {
        let mut addresses = self.shared.with(|known| known.addresses.clone());
        self.dice.shuffle(&mut addresses);
        let request = order(ORDERS_SECRET, number);
        addresses.into_iter().flatten().any(|address| match post(address, &request) {
            Some(200) => true,
            Some(503) | None => false,
            Some(other) => panic!("order {number} was answered {other}"),
        })
    }

    /// Some send twice what was acknowledged, and somebody else sends what he did not sign.
    fn is_a_nuisance(&mut self, number: usize) {
        let addresses = self.shared.with(|known| known.addresses.clone());
        let Some(Some(address)) = self.dice.choice(addresses) else { return };
        match self.dice.u8(..16) {
            0 | 1 => {
                let answer = post(address, &order(ORDERS_SECRET, number));
                assert!(matches!(answer, Some(200 | 503) | None), "{answer:?}");
            }
            2 => {
                let answer = post(address, &order(OTHER_SECRET, FORGED + number));
                assert!(matches!(answer, Some(403 | 429) | None), "{answer:?}");
            }
            _ => {}
        }
    }
}

/// What came of it.
struct Ended {
    known: Known,
    /// Of each order, where and as which delivery it was taken by the application.
    delivered: BTreeMap<usize, Vec<(usize, Delivery)>>,
}

impl Ended {
    /// Asserts that nothing is made up, and that an event keeps its id.
    fn of(deliveries: Vec<Delivery>, known: Known) -> Self {
        let mut delivered = BTreeMap::<_, Vec<_>>::new();
        for (place, delivery) in deliveries.into_iter().enumerate() {
            let number = number(&delivery);
            assert!(known.sent.contains(&number), "nobody sent {delivery:?}");
            assert_eq!(delivery.header("hookward-event-id"), format!("msg_{number}"));
            if delivery.status == 200 {
                delivered.entry(number).or_default().push((place, delivery));
            }
        }
        for (number, deliveries) in &delivered {
            let ids: BTreeSet<_> =
                deliveries.iter().map(|(_, it)| it.header("webhook-id")).collect();
            assert_eq!(ids.len(), 1, "order {number} has several ids: {ids:?}");
        }
        Self { known, delivered }
    }

    /// Each delivery but the last of those that were delivered more often than once, with the place of the next one.
    fn doubles(&self) -> impl Iterator<Item = (&Delivery, usize, &Delivery)> {
        self.delivered.values().flat_map(|deliveries| {
            deliveries.windows(2).map(|pair| (&pair[0].1, pair[1].0, &pair[1].1))
        })
    }

    /// Whether the node that delivered could not tell.
    fn is_unsettled(&self, delivery: &Delivery) -> bool {
        let key = delivery.header("hookward-event-key").to_owned();
        self.known.unsettled.contains(&(life_of(delivery), key))
    }
}

#[test]
fn three_nodes_lose_nothing_while_they_are_killed_under_load() {
    const NODES: usize = 3;
    const SENDERS: usize = 4;
    let seed = 20_261_124;
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut cluster = Cluster::start(NODES);
    cluster.is_sent_to(SENDERS, &mut dice);
    for round in 0..4 {
        cluster.shared.goes_on_for(dice.usize(30..120));
        let victim = dice.usize(..NODES);
        let successors = cluster.shared.with(|known| known.successors.len());
        cluster.kills(victim);
        if round == 1 {
            // Whoever takes over is killed in the middle of it, so that the third one has the work of both.
            cluster
                .shared
                .until("a takeover begins", TAKEOVER, |known| known.successors.len() > successors);
            let life = cluster.shared.with(|known| known.successors[successors]);
            let at = cluster.nodes.iter().position(|it| it.as_ref().is_some_and(|it| it.0 == life));
            cluster.kills(at.unwrap());
        }
        cluster.shared.goes_on_for(dice.usize(10..60));
        for at in 0..NODES {
            if cluster.nodes[at].is_none() {
                cluster.begins(at);
            }
        }
    }
    let ended = cluster.comes_to_rest();

    let (mut after_kill, mut after_lapse, mut after_failure) = (0, 0, 0);
    for (first, place, second) in ended.doubles() {
        let life = life_of(first);
        // Its checkpoint did not tell any more what it had delivered.
        if cluster.killed.get(&life).is_some_and(|killed| place >= *killed) {
            after_kill += 1;
        } else if ended.known.lapsed.contains(&life) {
            after_lapse += 1;
        } else if ended.is_unsettled(first) {
            after_failure += 1;
        } else {
            panic!(
                "seed {seed}: delivered twice, by {life} and by {}, and {life} was not killed in \
                 between (killed: {:?}): {first:?} {second:?}",
                life_of(second),
                cluster.killed
            );
        }
    }
    println!(
        "seed {seed}: {} sent, {} acknowledged, {} kills, {} takeovers; delivered twice: {after_kill} \
         after the kill of who had delivered, {after_lapse} after its lease, {after_failure} after a \
         failure to tell",
        ended.known.sent.len(),
        ended.known.acknowledged.len(),
        cluster.killed.len(),
        ended.known.taken_over.len(),
    );
    assert_eq!(cluster.killed.len(), 5);
}

#[test]
fn a_node_that_is_stopped_leaves_nothing_undone_and_nothing_done_twice() {
    let mut dice = fastrand::Rng::with_seed(1);
    let mut cluster = Cluster::start(2);
    cluster.is_sent_to(3, &mut dice);
    cluster.shared.goes_on_for(100);
    let log = cluster.stops(0);
    assert!(log.last().unwrap().contains("everything in progress was finished"), "{log:#?}");
    cluster.shared.goes_on_for(100);
    let ended = cluster.comes_to_rest();
    if ended.known.lapsed.is_empty() && ended.known.unsettled.is_empty() {
        let doubles: Vec<_> = ended.doubles().collect();
        assert!(doubles.is_empty(), "{doubles:#?}");
    }
}

#[test]
fn a_node_that_stood_still_too_long_speaks_for_nothing_that_others_took() {
    let mut dice = fastrand::Rng::with_seed(2);
    let mut cluster = Cluster::start(2);
    cluster.is_sent_to(4, &mut dice);
    cluster.shared.goes_on_for(60);
    let (life, gateway) = cluster.nodes[0].as_ref().unwrap();
    gateway.signal(Signal::STOP);
    cluster.shared.until("it is taken over", TAKEOVER, |known| !known.taken_over.is_empty());
    gateway.signal(Signal::CONT);
    cluster.shared.until("it begins again", TAKEOVER, |known| known.lapsed.contains(life));
    cluster.shared.goes_on_for(60);
    let ended = cluster.comes_to_rest();
    for (first, _, second) in ended.doubles() {
        let has_lapsed = ended.known.lapsed.contains(&life_of(first));
        assert!(has_lapsed || ended.is_unsettled(first), "{first:?} {second:?}");
    }
}

/// A way to the table that can be cut, as often as a test likes.
struct Way {
    address: SocketAddr,
    state: Arc<Mutex<(Passes, Vec<TcpStream>)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passes {
    All,
    /// Connections end.
    Nothing,
    /// Connections stay, and nothing comes back.
    Silence,
}

impl Way {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new((Passes::All, Vec::new())));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                match state.0 {
                    Passes::All => {
                        let far = TcpStream::connect(target).unwrap();
                        for (mut from, mut to) in [(&near, &far), (&far, &near)]
                            .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
                        {
                            thread::spawn(move || {
                                let passed = std::io::copy(&mut from, &mut to);
                                to.shutdown(Shutdown::Both).unwrap_or_default();
                                passed
                            });
                        }
                        state.1.extend([near, far]);
                    }
                    Passes::Nothing => {}
                    Passes::Silence => state.1.push(near),
                }
            }
        });
        Self { address, state }
    }

    fn passes(&self, passes: Passes) {
        let mut state = self.state.lock().unwrap();
        state.0 = passes;
        for stream in state.1.drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }
}

#[test]
fn a_node_is_ready_as_long_as_it_reaches_its_table() {
    let way = Way::to(engine::address());
    let place = place(way.address);
    let gateway = Gateway::start(program(&place, &["serve"]));
    let is_ready = || {
        let request = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        match status_of(&ask(gateway.admin, request).unwrap()) {
            Some(200) => true,
            Some(503) => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(is_ready());
    assert_eq!(gateway.takes_order(1), 200);
    for (number, cut) in [(2, Passes::Nothing), (3, Passes::Silence)] {
        way.passes(cut);
        soon("it is not ready", || {
            let answer = ask(gateway.address, &order(ORDERS_SECRET, number)).unwrap();
            assert_eq!(status_of(&answer), Some(503), "{answer}");
            assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
            !is_ready()
        });
        way.passes(Passes::All);
        // What became of the first tries may have to be found out.
        soon("it takes webhooks again", || gateway.takes_order(number) == 200);
        assert!(is_ready());
    }
    assert_eq!(gateway.takes_order(2), 200);
    let deliveries = place.app.got(3);
    let numbers: Vec<_> = deliveries.iter().map(number).collect();
    gateway.stops();
    assert_eq!(place.app.got(3).len(), 3, "{numbers:?}");
}
