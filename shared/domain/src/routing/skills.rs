//! The skills of a team's members, by topic.

use std::collections::HashMap;

use crate::{Comparable, Folded, Member};

/// The members that have a skill for each topic of the batch.
///
/// The index has only topics that occur in the batch: a batch names few, and a team can have many
/// skills.
#[derive(Default)]
pub(super) struct SkillIndex<'i> {
    /// Every skill with the position of its member. `None` before the first topic.
    skills: Option<Vec<(usize, Comparable<'i>)>>,
    /// The positions of the members with a skill for a topic.
    members_by_topic: HashMap<Folded, Vec<usize>>,
    /// The matched skills of each member, for the latest ticket.
    matched: Vec<u64>,
}

impl<'i> SkillIndex<'i> {
    /// Returns the number of skills of each member that are topics of a ticket.
    pub(super) fn matched(&mut self, members: &'i [Member], topics: &[&Folded]) -> &[u64] {
        let Self {
            skills,
            members_by_topic,
            matched,
        } = self;
        matched.clear();
        matched.resize(members.len(), 0);
        for topic in topics {
            if !members_by_topic.contains_key(*topic) {
                let skills = skills.get_or_insert_with(|| comparable(members));
                let members = skills.iter().filter(|(_, skill)| skill.folds_to(topic));
                let positions = members.map(|(position, _)| *position).collect();
                members_by_topic.insert((*topic).clone(), positions);
            }
            for position in &members_by_topic[*topic] {
                matched[*position] += 1;
            }
        }
        matched
    }
}

fn comparable(members: &[Member]) -> Vec<(usize, Comparable<'_>)> {
    let skills = members.iter().enumerate().flat_map(|(position, member)| {
        let skills = member.skills.as_slice().iter();
        skills.map(move |skill| (position, Comparable::of(skill)))
    });
    skills.collect()
}
